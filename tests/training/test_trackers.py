from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback
from transformers.integrations import integration_utils

from charter.errors import InputError
from charter.records import Checkpoint, Message
from charter.training.examples import ChatExample
from charter.training.run import train_sft
from charter.training.settings import TrainSettings
from charter.training.trackers import Tracker, checked


class Missing(TrainerCallback):
    def __init__(self) -> None:
        raise RuntimeError("needs a package that nobody has")


class Kept(TrainerCallback):
    losses: list[float] = []

    def on_log(self, *_: Any, logs: Any = None, **__: Any) -> None:
        if "loss" in logs:
            self.losses.append(logs["loss"])


def test_a_tracker_that_does_not_exist_or_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "missing", Missing)
    with pytest.raises(InputError, match=r"'report_to': 'tensorbord' is not.*tensorboard"):
        checked(("tensorbord",))
    with pytest.raises(InputError, match=r"'missing' cannot be used .expected its package"):
        checked(("missing",))
    with pytest.raises(InputError, match="is not a tracker"):
        Tracker(("nothing",), Path("unused"))


def test_figures_go_to_the_tracker_that_is_asked_for_and_to_none_by_default(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "kept", Kept)
    start = Checkpoint(str(tiny_model_folder))
    examples = [ChatExample((Message("user", "Say something kind."),), "good")] * 8
    train_sft(start, examples, TrainSettings(batch_size=4, lora_rank=2), tmp_path / "none")
    assert Kept.losses == []
    settings = TrainSettings(batch_size=4, lora_rank=2, report_to=("kept",))
    trained = train_sft(start, examples, settings, tmp_path / "kept")
    assert Kept.losses == [row["loss"] for row in trained.curve]


def test_no_tracker_tracks_nothing(tmp_path: Path) -> None:
    tracker = Tracker((), tmp_path)
    tracker.log(1, {"loss": 1.0})
    tracker.close()
    assert not list(tmp_path.iterdir())
