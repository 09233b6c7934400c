from __future__ import annotations

import pytest
import torch
from torch import nn

from charter.errors import TrainingError
from charter.training.loop import fit
from charter.training.settings import TrainSettings


class Squares:
    """Pulls a linear layer's output towards zero, times a factor that the test may spoil."""

    def __init__(self, factor=lambda step: 1.0):
        self.calls, self.factor = 0, factor

    def collate(self, rows):
        return {"x": torch.tensor([[float(len(row))] for row in rows])}

    def loss(self, model, batch):
        self.calls += 1
        loss = (model(batch["x"]) ** 2).mean() * self.factor(self.calls)
        return loss, {"calls": torch.tensor(float(self.calls))}


ROWS = ["a" * (1 + i % 5) for i in range(16)]
SETTINGS = TrainSettings(batch_size=4, learning_rate=1e-2, lora_rank=0)


def run(tmp_path, objective, settings=SETTINGS, **options):
    torch.manual_seed(0)
    return fit(nn.Linear(1, 1), objective, ROWS, settings, out=tmp_path, job="test", **options)


def test_every_step_is_logged_and_reported_with_the_objectives_metrics(tmp_path):
    seen = []
    curve, seconds = run(tmp_path, Squares(), progress=lambda *args: seen.append(args))
    assert [row["step"] for row in curve] == [1, 2, 3, 4]
    assert [row["calls"] for row in curve] == [1, 2, 3, 4]
    assert [(done, total) for done, total, _ in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [metrics["loss"] for *_, metrics in seen] == [row["loss"] for row in curve]
    assert seconds > 0


def test_accumulation_takes_the_mean_over_backward_passes(tmp_path):
    settings = TrainSettings(batch_size=2, accumulation=2, learning_rate=1e-2, lora_rank=0)
    curve, _ = run(tmp_path / "a", Squares(), settings)
    whole, _ = run(tmp_path / "b", Squares())
    assert len(curve) == len(whole) == 4
    assert [row["calls"] for row in curve] == [1.5, 3.5, 5.5, 7.5]
    # Every batch is drawn from the same 16 rows: the scale must agree, not be doubled.
    total = sum(row["loss"] for row in curve) / sum(row["loss"] for row in whole)
    assert total == pytest.approx(1, rel=0.3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_training_and_says_where(tmp_path, bad):
    with pytest.raises(TrainingError, match="at step 3 of 4"):
        run(tmp_path, Squares(lambda call: bad if call == 3 else 1.0))


def test_nothing_to_train_on_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="no examples"):
        fit(nn.Linear(1, 1), Squares(), [], SETTINGS, out=tmp_path, job="test")


def test_the_learning_rate_follows_the_schedule(tmp_path):
    settings = TrainSettings(
        batch_size=1, learning_rate=1e-2, warmup_ratio=0.25, schedule="linear", lora_rank=0
    )
    curve, _ = run(tmp_path, Squares(), settings)
    rates = [row["learning_rate"] for row in curve]
    assert rates[0] == 0 and max(rates) == rates[4] == pytest.approx(1e-2)
    assert rates[4:] == sorted(rates[4:], reverse=True) and rates[-1] < 2e-3
