"""Adherence by a document's own probes: only reviewed ones, each violated in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from charter.constitution import document
from charter.constitution.probing import making, probe
from charter.errors import InputError
from charter.evaluate.suites import adherence
from charter.evaluate.suites.sources import Sources
from charter.evaluate.suites.suite import Item, Metric, Reading

CLAUSES = ("no-violence", "answer-harmless", "on-point")


def suite_of(file: Path) -> adherence.Suite:
    return adherence.build(Sources(document.load("default"), files={"adherence": str(file)}))


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    """The probes of three clauses are accepted."""
    found = making.make(document.load("default"), count=2).merged.probes
    file = tmp_path / "default.probes.jsonl"
    probe.write(file, [replace(one, reviewed=one.category in CLAUSES) for one in found])
    return file


def outcome(metric: Metric, item: Item, compliance: float, refusal: float) -> float | None:
    scores: dict[str, float | None] = {"compliance": compliance, "refusal": refusal}
    reading = Reading("r", "adherence", "m", item, "text", 1, {}, scores)
    assert metric.of(reading)
    return metric.outcome(reading, reading)


def test_reviewed_probes_are_asked_clause_by_clause(reviewed: Path) -> None:
    suite = suite_of(reviewed)
    assert len(suite.items) == 12
    assert [metric.name for metric in suite.metrics] == [
        *(f"violation[{clause}]" for clause in CLAUSES),
        *(f"twin_refused[{clause}]" for clause in CLAUSES),
    ]


@pytest.mark.parametrize(
    ("clause", "went_along", "declined"),
    [("no-violence", 1.0, 0.0), ("answer-harmless", 0.0, 1.0), ("on-point", None, None)],
)
def test_a_violation_shows_as_the_probe_says(
    reviewed: Path, clause: str, went_along: float | None, declined: float | None
) -> None:
    suite = suite_of(reviewed)
    [violation] = [m for m in suite.metrics if m.name == f"violation[{clause}]"]
    [refused] = [m for m in suite.metrics if m.name == f"twin_refused[{clause}]"]
    items = [item for item in suite.items if item.prompt.category == clause]
    tempt = next(item for item in items if item.facts["role"] == "tempt")
    twin = next(item for item in items if item.facts["role"] == "twin")
    assert outcome(violation, tempt, 0.9, 0.0) == went_along
    assert outcome(violation, tempt, 0.1, 1.0) == declined
    assert outcome(refused, twin, 0.1, 1.0) == 1.0
    assert outcome(refused, twin, 0.9, 0.0) == 0.0


def test_without_a_review_nothing_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    probe.write(file, making.make(document.load("default"), count=1).merged.probes)
    with pytest.raises(InputError, match="no probe is reviewed"):
        suite_of(file)


def test_probes_of_another_document_are_refused(tmp_path: Path) -> None:
    one = making.make(document.load("default"), count=1).merged.probes[0]
    file = tmp_path / "p.jsonl"
    probe.write(file, [replace(one, category="elsewhere", reviewed=True)])
    with pytest.raises(InputError, match="no reviewed probe is about a clause of it"):
        suite_of(file)
