from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from charter.guard.tracking import PIECE, GrowingText, Track
from charter.models import hf
from charter.models.hf import HFModel

TEXT = "Tell me a story of the river and the stone. " * 12


@pytest.fixture(scope="module")
def model(tiny_model_folder: Path) -> HFModel:
    return hf.load(str(tiny_model_folder))


def project(states: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.cat([states[1][0, :, :3], states[-1][0, :, :2]], dim=-1)


def tracked(model: HFModel, ids: list[int], room: int = 1024) -> np.ndarray:
    track = Track(model, project, room=room)
    track.set(ids)
    return track.values


def grown(model: HFModel, text: str, size: int, room: int = 1024) -> tuple[np.ndarray, Track]:
    track, growing = Track(model, project, room=room), GrowingText(model.encode)
    for start in range(0, len(text), size):
        track.set(growing.extend(text[start : start + size]))
    return track.values, track


def test_what_is_read_is_what_the_model_says(model: HFModel) -> None:
    ids = model.encode(TEXT)[:40]
    with torch.inference_mode():
        states = model.backbone()(
            input_ids=torch.tensor([ids]), output_hidden_states=True
        ).hidden_states
    assert tracked(model, ids) == pytest.approx(project(states).numpy(), abs=1e-5)


@pytest.mark.parametrize("size", [1, 7, 32, 10_000])
def test_the_portions_in_which_a_text_comes_change_nothing(model: HFModel, size: int) -> None:
    whole, _ = grown(model, TEXT, len(TEXT))
    values, _ = grown(model, TEXT, size)
    assert values == pytest.approx(whole, abs=1e-4)


@pytest.mark.parametrize("size", [3, 50])
def test_nor_do_they_where_the_text_is_longer_than_the_room(model: HFModel, size: int) -> None:
    whole, track = grown(model, TEXT, len(TEXT), room=32)
    assert len(track.ids) > 3 * 32
    values, _ = grown(model, TEXT, size, room=32)
    assert values == pytest.approx(whole, abs=1e-4)


def test_tokens_of_a_long_text_see_what_came_before_them(model: HFModel) -> None:
    ids = model.encode(TEXT)[:70]
    other = list(ids)
    other[50] = ids[50] + 1
    one, two = tracked(model, ids, 32), tracked(model, other, 32)
    changed = np.abs(one - two).max(1) > 1e-6
    assert not changed[:50].any()
    # Half of the room at least is looked back over, at most the whole of it.
    assert changed[51:66].all()


def test_only_new_tokens_are_computed(model: HFModel) -> None:
    ids = model.encode(TEXT)[:60]
    track = Track(model, project)
    track.set(ids[:40])
    track.set(ids)
    assert track.computed == 60
    track.set([*ids[:55], 5, 6])
    assert track.computed == 62
    assert track.values == pytest.approx(tracked(model, [*ids[:55], 5, 6]), abs=1e-5)


def test_pieces_join_to_the_whole_text(model: HFModel) -> None:
    growing = GrowingText(model.encode)
    for text in (TEXT, "x" * (2 * PIECE), " end"):
        ids = growing.extend(text)
    said = str(model.tokenizer.decode(ids))
    assert said == f"{TEXT}{'x' * (2 * PIECE)} end"
