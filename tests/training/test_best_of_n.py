"""Best of n: who wins, what is imitated, and the model that chooses as it answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from charter.errors import TrainingError
from charter.records import Checkpoint, Completion, Message, Prompt, Request, Sampling
from charter.training.best_of_n import BestOfN, train_best_of_n, winner
from charter.training.monitor import Monitor
from charter.training.rl_settings import BestOfNSettings, MonitorSettings
from charter.training.settings import TrainSettings

PROMPTS = [Prompt(f"p{i}", (Message("user", t),)) for i, t in enumerate(["good", "bad"])]
QUICK = TrainSettings(learning_rate=1e-3, lora_rank=2, batch_size=2)
FEW = BestOfNSettings(n=3, max_new_tokens=5)


def spaces(conversations: Any, answers: list[str]) -> list[float | None]:
    return [float(answer.count(" ")) for answer in answers]


def test_the_largest_value_wins_and_a_missing_one_never() -> None:
    assert winner([1.0, 3.0, 2.0]) == 1
    assert winner([None, -5.0, None]) == 1
    assert winner([2.0, 2.0]) == 0
    assert winner([None, None]) is None and winner([]) is None


class Numbered:
    """Answers with its seed, so that every answer is another one."""

    identity = "numbered@1"

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [Completion(str(request.seed % 1000), 1, "stop") for request in requests]


def largest(conversations: Any, answers: list[str]) -> list[float | None]:
    return [float(answer) for answer in answers]


def test_a_model_answers_with_the_best_of_n() -> None:
    requests = [Request(p.messages, Sampling(), 7 + i) for i, p in enumerate(PROMPTS)]
    seen: list[list[str]] = []

    def keep(conversations: Any, answers: list[str]) -> list[float | None]:
        seen.append(answers)
        assert conversations == [r.messages for r in requests for _ in range(4)]
        return largest(conversations, answers)

    model = BestOfN(Numbered(), keep, 4, chooser="largest")
    found = [one.text for one in model.generate(requests)]
    (answers,) = seen
    assert len(set(answers)) == 8
    assert found == [max(answers[:4], key=float), max(answers[4:], key=float)]
    assert model.identity != BestOfN(Numbered(), keep, 5, chooser="largest").identity


def test_where_nothing_is_rewarded_an_answer_is_given_all_the_same() -> None:
    model = BestOfN(Numbered(), lambda c, a: [None for _ in a], 3, chooser="nobody")
    (one,) = model.generate([Request(PROMPTS[0].messages, Sampling(), 1)])
    assert one.text


def test_winners_are_marked_and_every_sample_is_kept(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    kept: list[Any] = []
    monitor = Monitor(MonitorSettings())
    trained = train_best_of_n(
        Checkpoint(str(tiny_model_folder)),
        PROMPTS,
        spaces,
        FEW,
        QUICK,
        tmp_path,
        keep=kept.extend,
        monitor=monitor,
    )
    assert tuple(kept) == trained.rollouts and len(kept) == 6
    for start in (0, 3):
        group = kept[start : start + 3]
        (won,) = [r for r in group if r.components["chosen"]]
        assert won.reward == max(r.reward for r in group)
    assert [row.step for row in monitor.rows] == [1, 2]
    before, after = (row.reward for row in monitor.rows)
    assert before is not None and after is not None and after.value >= before.value
    assert trained.checkpoint.adapters == (str(tmp_path),)


def test_nothing_rewarded_is_an_error(tiny_model_folder: Path, tmp_path: Path) -> None:
    start = Checkpoint(str(tiny_model_folder))
    with pytest.raises(TrainingError, match="none of 6 samples"):
        train_best_of_n(start, PROMPTS, lambda c, a: [None] * len(a), FEW, QUICK, tmp_path)
    with pytest.raises(TrainingError, match="no prompts"):
        train_best_of_n(start, [], spaces, FEW, QUICK, tmp_path)
