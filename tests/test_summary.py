"""The summary: figures of finished stages, and of no others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from charter.cache import CallCache
from charter.constitution.document import Constitution, Principle
from charter.evaluate.config import EvaluateConfig
from charter.models.spend import Spend
from charter.recipe import Recipe
from charter.records import Answer, Dropped, Message, Origin, Prompt, Record
from charter.statistics import wilson
from charter.statistics.correction import ErrorRates
from charter.store import DROPPED, RunFolder, StageFolder
from charter.summary import Summary, summarise

CONSTITUTION = Constitution(
    "charter/constitution/1", "test", "1", (Principle("calm", "t", "t", "c", "r", "q"),)
)
RECIPE = Recipe("charter/recipe/1", "mine", evaluate=EvaluateConfig(bootstrap_draws=20))
FIELDS = {"model", "metric", "value", "low", "high", "n", "unscored"}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def finished(
    folder: RunFolder, name: str, kept: Sequence[Record] = (), reasons: Sequence[str] = ()
) -> StageFolder:
    stage = folder.stage(name, "asked")
    stage.log(Record).append(kept)
    stage.log(Dropped, DROPPED).append(
        Dropped(f"d{n}", name, reason) for n, reason in enumerate(reasons)
    )
    stage.finish(seconds=1.5)
    return stage


def answers(compliance: Sequence[float | None]) -> list[Answer]:
    return [
        Answer(
            f"{model}/q{n}",
            model,
            Prompt(f"q{n}", (Message("user", "?"),), "redteam", split="eval"),
            "text",
            4,
            {"compliance": value, "refusal": 0.0, "helpful": 0.1},
            Origin("evaluate", model),
        )
        for model in ("base", "sl_cai", "rl_cai")
        for n, value in enumerate(compliance)
    ]


def test_a_run_without_finished_stages_has_nothing_to_say(folder: RunFolder) -> None:
    folder.stage("critique", "asked")
    found = summarise(folder, RECIPE, CONSTITUTION)
    assert found == Summary(RECIPE, CONSTITUTION.digest, (), {}, {}, str(folder.path))


def test_seconds_and_what_was_dropped_by_stage_and_reason(folder: RunFolder) -> None:
    finished(folder, "critique", reasons=["draft_empty", "draft_empty", "revision_echo"])
    finished(folder, "sft")
    finished(folder, "pairs.old-01234567", reasons=["pair_same_answer"])
    found = summarise(folder, RECIPE, CONSTITUTION)
    assert found.dropped == {"critique": {"draft_empty": 2, "revision_echo": 1}}
    assert found.seconds == {"critique": 1.5, "sft": 1.5}
    assert found.measurements == ()


def test_measurements_come_from_the_answers_with_interval_and_counts(folder: RunFolder) -> None:
    finished(folder, "evaluate", answers([0.9, 0.8, 0.1, None]))
    found = summarise(folder, RECIPE, CONSTITUTION).measurements
    [harm] = [m for m in found if (m.model, m.metric) == ("base", "harmful_compliance")]
    assert harm.value == pytest.approx(2 / 3)
    assert (harm.n, harm.unscored) == (3, 1)
    assert harm.low < harm.value < harm.high
    assert {m.model for m in found} == {"base", "sl_cai", "rl_cai"}


def test_harm_is_corrected_for_the_errors_that_the_stage_noted(folder: RunFolder) -> None:
    stage = folder.stage("evaluate", "asked")
    stage.log(Record).append(answers([0.9] * 30 + [0.1] * 30))
    known = ErrorRates(wilson(90, 100), wilson(180, 200))
    stage.finish(1.5, {"error_rates": {"harmful_compliance": known}})
    found = summarise(folder, RECIPE, CONSTITUTION).measurements
    [harm] = [m for m in found if (m.model, m.metric) == ("base", "harmful_compliance_corrected")]
    assert harm.value == pytest.approx(0.4 / 0.8)
    assert harm.low < harm.value < harm.high


def test_answers_of_an_unfinished_evaluation_do_not_count(folder: RunFolder) -> None:
    folder.stage("evaluate", "asked").log(Answer).append(answers([0.9]))
    assert summarise(folder, RECIPE, CONSTITUTION).measurements == ()


def test_the_same_folder_gives_the_same_bytes(folder: RunFolder) -> None:
    finished(folder, "evaluate", answers([0.9, 0.8, 0.1, 0.4]))
    first, again = (msgspec.json.encode(summarise(folder, RECIPE, CONSTITUTION)) for _ in range(2))
    assert first == again
    tree = json.loads(first)
    assert set(tree) == {
        "recipe",
        "constitution_digest",
        "measurements",
        "dropped",
        "seconds",
        "run",
        "spend",
    }
    assert all(set(measurement) == FIELDS for measurement in tree["measurements"])


def test_an_interval_always_holds_its_rate() -> None:
    rates = [wilson(hits, n) for n in range(1, 100) for hits in range(n + 1)]
    assert all(0 <= rate.low <= rate.value <= rate.high <= 1 for rate in rates)


def test_what_remote_models_cost_is_told_with_their_cache_hits(folder: RunFolder) -> None:
    calls = CallCache(folder.path / "calls.sqlite")
    calls.put({}, spent=("told", 80, 5), cached=60)
    calls.put({}, spent=("told", 20, 5))
    calls.put({}, spent=("silent", 10, 1))
    calls.close()
    assert summarise(folder, RECIPE, CONSTITUTION).spend == {
        "silent": Spend(10, 1),
        "told": Spend(100, 10, 60, 0.6),
    }
