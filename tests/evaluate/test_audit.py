from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from charter.constitution.document import Categories, Category, Constitution, load
from charter.errors import DataError
from charter.evaluate.audit import audit
from charter.evaluate.audit_page import render
from charter.evaluate.gaps import parted
from charter.records import (
    Abstention,
    Answer,
    Comparison,
    Labelled,
    Message,
    Origin,
    PrincipleVote,
    Prompt,
    Verdict,
)
from charter.statistics import wilson
from charter.statistics.paired import mcnemar
from charter.store import RunFolder

DEFAULT = load("default")
FRAUD, PRIVACY, HARMLESS = "lawful", "privacy", "answer-harmless"
SCRIPT = "<script>alert(1)</script></details>"
DOCUMENT = msgspec.structs.replace(
    DEFAULT,
    categories=Categories(
        harmful=(
            Category("fraud", "Fraud", "…", (FRAUD,)),
            Category("privacy", "Intrusion", "…", (PRIVACY, FRAUD)),
        ),
        harmless=(Category("talk", "Talk", "…", (HARMLESS, PRIVACY)),),
    ),
)


def answer(
    model: str, id: str, kind: str, category: str, compliance: float | None, refusal: float
) -> Answer:
    prompt = Prompt(id, (Message("user", f"ask {id} {SCRIPT}"),), kind, category, "eval")
    scores = {"compliance": compliance, "refusal": refusal, "helpful": None}
    return Answer(
        f"{model}/{id}", model, prompt, f"{model} says {SCRIPT}", 5, scores, Origin("e", model)
    )


def labelled(id: str, *votes: PrincipleVote) -> Labelled:
    prompt = Prompt(id, (Message("user", "?"),))
    comparison = Comparison(id, prompt, "a", "b", Origin("pairs", "m"))
    if not votes:
        return Labelled(comparison, Abstention(id, "off_menu", "j"))
    return Labelled(comparison, Verdict(id, 0.5, votes, "j"))


ANSWERS = [
    # Before: complies with three of four; after: with one, and one cannot be read.
    answer("base", "f1", "redteam", "fraud", 0.9, 0),
    answer("base", "f2", "redteam", "fraud", 0.8, 0),
    answer("base", "f3", "redteam", "fraud", 0.2, 0),
    answer("base", "v1", "redteam", "privacy", 0.7, 0),
    answer("base", "h1", "borderline", "homonym", 0.9, 0),
    answer("rl_cai", "f1", "redteam", "fraud", 0.1, 0),
    answer("rl_cai", "f2", "redteam", "fraud", 0.9, 1),  # declines: not compliant
    answer("rl_cai", "f3", "redteam", "fraud", None, 0),
    answer("rl_cai", "v1", "redteam", "privacy", 0.7, 0),
    answer("rl_cai", "h1", "borderline", "homonym", 0.9, 1),
]
LABELS = [
    labelled("c1", PrincipleVote(FRAUD, 0.8, 0.3), PrincipleVote(PRIVACY, 0.9, 0.7)),
    labelled("c2", PrincipleVote(FRAUD, 0.8, 0.9, members={"j1": 0.9, "j2": 0.2})),
    labelled("c3", PrincipleVote(PRIVACY, 0.55, 0.52, members={"j1": 0.6, "j2": 0.7})),
    labelled("c4"),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write(tmp_path / "run", ANSWERS, LABELS)


def write(
    path: Path, answers: list[Answer], labels: list[Labelled], document: Constitution = DOCUMENT
) -> Path:
    folder = RunFolder(path)
    (path / "constitution.json").write_bytes(msgspec.json.encode(document))
    if answers:
        folder.stage("evaluate", "x").log(Answer).append(answers)
    if labels:
        folder.stage("feedback", "x").log(Labelled).append(labels)
    return path


def test_violations_are_counted_by_the_clauses_of_a_category(run: Path) -> None:
    found = {clause.id: clause for clause in audit(run).clauses}
    assert set(found) == {FRAUD, PRIVACY, HARMLESS}
    base, after = found[FRAUD].models["base"], found[FRAUD].models["rl_cai"]
    # The privacy prompt cites both clauses.
    assert (base.rate, base.unscored) == (wilson(3, 4), 0)
    assert (after.rate, after.unscored) == (wilson(1, 3), 1)
    assert found[PRIVACY].models["base"].rate == wilson(1, 1)


def test_a_clause_about_harmless_prompts_is_violated_by_declining(run: Path) -> None:
    found = {clause.id: clause for clause in audit(run).clauses}
    assert found[HARMLESS].models["base"].rate == wilson(0, 1)
    assert found[HARMLESS].models["rl_cai"].rate == wilson(1, 1)
    # Named by a harmless category as well, but it speaks against harm.
    assert found[PRIVACY].models["base"].rate.n == 1


def test_changes_are_paired_and_adjusted(run: Path) -> None:
    found = audit(run)
    change = {clause.id: clause.change for clause in found.clauses}[FRAUD]
    expected = mcnemar(np.array([0, 0, np.nan, 1]), np.array([1, 1, 0, 1]))
    assert change is not None and change.difference == expected.difference
    assert change.difference.value == pytest.approx(-2 / 3)
    assert change.p <= change.p_adjusted <= 1 and "3 comparisons" in found.note


def test_clauses_that_nothing_measures_are_named(run: Path) -> None:
    found = audit(run)
    assert set(found.not_measured) == {p.id for p in DOCUMENT.principles} - {
        FRAUD,
        PRIVACY,
        HARMLESS,
    }


def test_examples_show_what_changed_first(run: Path) -> None:
    (fraud,) = (c for c in audit(run).clauses if c.id == FRAUD)
    first, second, third = fraud.examples
    assert {first.id, second.id} == {"f1", "f2"} and third.id == "v1"
    assert first.violates == {"base": True, "rl_cai": False}
    assert first.answers["base"].startswith("base says")


def test_gaps_count_orders_judges_and_wordings(run: Path) -> None:
    found = audit(run, wordings={FRAUD: [True, False], PRIVACY: [False, False]})
    gaps = {gap.id: gap for gap in found.gaps}
    assert gaps[FRAUD].orders == wilson(1, 2) and gaps[FRAUD].judges == wilson(1, 1)
    assert gaps[PRIVACY].orders == wilson(0, 2) and gaps[PRIVACY].judges == wilson(0, 1)
    assert gaps[FRAUD].wordings == wilson(1, 2) and gaps[PRIVACY].undecided == wilson(1, 2)
    assert found.gaps[0].id == FRAUD and found.gaps[0].worst[0] == "c2"
    assert (found.labels, found.abstained) == (4, 1)


def test_without_panels_or_wordings_there_is_nothing_to_compare(tmp_path: Path) -> None:
    run = write(tmp_path / "run", [], [labelled("c1", PrincipleVote(FRAUD, 0.8, 0.9))])
    (gap,) = audit(run).gaps
    assert gap.judges is None and gap.wordings is None and gap.orders == wilson(0, 1)
    assert audit(run).clauses == []


def test_a_run_that_stopped_early_is_compared_to_its_last_model(tmp_path: Path) -> None:
    rows = [answer(m, "f1", "redteam", "fraud", 0.9, 0) for m in ("base", "sl_cai")]
    assert audit(write(tmp_path / "run", rows, [])).after == "sl_cai"


def test_wordings_part_if_they_take_different_sides() -> None:
    assert parted([[0.6, 0.9], [0.6, 0.4], [0.5, 0.9], [0.1, 0.2, 0.7]]) == [
        False,
        True,
        False,
        True,
    ]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a run folder"):
        audit(tmp_path)
    with pytest.raises(DataError, match="no answers and no labels"):
        audit(write(tmp_path / "run", [], []))


def test_the_page_escapes_what_models_and_people_wrote(run: Path) -> None:
    page = render(audit(run))
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "http://" not in page and "https://" not in page
    # Harmful text stands in closed details.
    assert "<details open" not in page and page.count("<details>") == page.count("</details>") == 3


def test_the_page_of_an_empty_audit_says_so(tmp_path: Path) -> None:
    page = render(audit(write(tmp_path / "run", [], LABELS)))
    assert "The run has no answers" in page and "Specification gaps" in page
