from __future__ import annotations

from pathlib import Path

import pytest
import torch

from charter.models import hf
from charter.records import Checkpoint, Message
from charter.training.examples import ChatExample, TokenRow
from charter.training.gathered import GatheredLM
from charter.training.objectives import Imitation
from charter.training.packing import Pack, lay_out_packs, packed
from charter.training.run import train_sft
from charter.training.settings import TrainSettings

ROWS = [
    TokenRow((1, 5, 9, 40), (7, 8, 2)),
    TokenRow((1, 30), (12, 13, 14, 15, 2)),
    TokenRow((3,), (4, 2)),
    TokenRow((1, 5, 9), (9, 9, 9, 9, 9, 2)),
]


def test_packs_hold_every_row_once_and_no_more_than_fits() -> None:
    rows = [TokenRow((1,) * (1 + 7 * i % 11), (2,)) for i in range(60)]
    packs = packed(rows, 16)
    flat = [row for pack in packs for row in pack.rows]
    assert sorted(flat, key=repr) == sorted(rows, key=repr)
    assert max(map(len, packs)) <= 16
    # 11/9 of the fewest packs that could hold as many tokens.
    assert len(packs) <= 11 / 9 * sum(map(len, rows)) / 16 + 1
    assert packs == packed(rows, 16)


def test_a_row_that_is_too_long_has_a_pack_of_its_own() -> None:
    assert [len(pack.rows) for pack in packed(ROWS, 4)] == [1, 1, 1, 1]


def test_positions_begin_anew_with_each_row_and_on_padding() -> None:
    batch = lay_out_packs([Pack((ROWS[2], ROWS[0])), Pack((ROWS[2],))])
    assert batch["position_ids"].tolist() == [
        [0, 1, 2, 0, 1, 2, 3, 4, 5, 6],
        [0, 1, 2, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert batch["target_mask"].int().tolist()[0] == [0, 1, 1, 0, 0, 0, 0, 1, 1, 1]
    assert batch["target_mask"].sum().item() == 7


@pytest.mark.parametrize(
    "packs", [[Pack(tuple(ROWS))], [Pack(tuple(ROWS[:3])), Pack(tuple(ROWS[3:]))]]
)
def test_loss_and_gradients_are_those_of_rows_on_their_own(
    tiny_model_folder: Path, packs: list[Pack]
) -> None:
    net = hf.load(str(tiny_model_folder), plain=True).net
    found = []
    for rows in (packs, ROWS):
        objective = Imitation()
        net.zero_grad()
        loss, _ = objective.loss(GatheredLM(net), objective.collate(rows))
        loss.backward()
        found.append((loss.detach(), {n: p.grad.clone() for n, p in net.named_parameters()}))
    (ours, our_gradients), (theirs, their_gradients) = found
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for name, gradient in their_gradients.items():
        torch.testing.assert_close(our_gradients[name], gradient, rtol=1e-3, atol=1e-5)


def test_a_packed_training_starts_at_the_same_loss_and_learns_in_fewer_steps(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    start, talk = Checkpoint(str(tiny_model_folder)), (Message("user", "Say something kind."),)
    examples = [ChatExample(talk, f"good {thing}") for thing in ("apple", "stone", "a river")] * 4
    how = TrainSettings(batch_size=12, learning_rate=1e-2, max_length=96)
    plain = train_sft(start, examples, how, tmp_path / "plain")
    packed_ = train_sft(start, examples, how, tmp_path / "packed", packing=True)
    assert packed_.curve[0]["loss"] == pytest.approx(plain.curve[0]["loss"], rel=1e-4)
    assert packed_.tokens == plain.tokens
    shorter = TrainSettings(batch_size=2, learning_rate=1e-2, max_length=96, epochs=4.0)
    learnt = train_sft(start, examples, shorter, tmp_path / "learnt", packing=True)
    assert learnt.curve[-1]["loss"] < learnt.curve[0]["loss"] - 0.5
