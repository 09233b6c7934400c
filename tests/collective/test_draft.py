from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.collective.conversation import clean
from charter.collective.draft import as_yaml, constitution
from charter.collective.stage import CollectConfig, Collected, run
from charter.constitution import document

Make = Callable[..., Any]


def _collected(electorate: Make, **config: Any) -> Collected:
    conversation = electorate(people=150, statements=20, each=18).conversation
    return run(conversation, CollectConfig(**config)).collected


def test_every_selected_statement_is_a_principle_with_its_votes(electorate: Make) -> None:
    collected = _collected(electorate)
    drafted = constitution(collected)
    assert drafted is not None
    assert [p.id for p in drafted.principles] == [f"statement-{id}" for id in collected.selected]
    statement, principle = collected.statements[0], drafted.principles[0]
    votes = statement.by_group[1]
    assert principle.text == statement.text
    assert f"consensus {statement.gac:.3f}" in principle.rationale
    assert f"Group 2: {votes.agree} of {votes.seen} agree" in principle.rationale
    assert f"{100 * votes.rate.low:.1f} to {100 * votes.rate.high:.1f}" in principle.rationale
    assert collected.digest in principle.source
    for part in (drafted.version, drafted.description, principle.rationale):
        assert "draft" in part.lower()
    for form in (
        principle.critique_request,
        principle.revision_request,
        principle.comparison_question,
    ):
        assert statement.text in form


def test_no_selected_statement_no_document(electorate: Make) -> None:
    assert constitution(_collected(electorate, threshold=1.0)) is None


def test_divisive_statements_are_listed_and_are_no_principles(electorate: Make) -> None:
    collected = _collected(electorate)
    drafted = constitution(collected)
    assert drafted is not None
    text = as_yaml(drafted, collected)
    listed = [line for line in text.splitlines() if line.startswith("# - statement ")]
    assert len(listed) == len(collected.divisive) > 0
    ids = {p.id for p in drafted.principles}
    assert not ids & {f"statement-{id}" for id in collected.divisive}


_SHARP = ("- a: b", "# no", "yes", "1.0", "{{principle}}", "a\n- id: x", "'\"", "🙂 \ufeff x", "|")
_TEXTS = st.text(max_size=120).filter(clean) | st.sampled_from(_SHARP)


@pytest.fixture(scope="module")
def planted(electorate: Make) -> Collected:
    return _collected(electorate)


@settings(deadline=None)
@given(_TEXTS, _TEXTS)
def test_whatever_people_write_the_file_reads_back_as_drafted(
    planted: Collected, selected: str, divisive: str
) -> None:
    collected = msgspec.structs.replace(
        planted,
        statements=tuple(
            msgspec.structs.replace(s, text=selected if s.selected else divisive)
            for s in planted.statements
        ),
    )
    drafted = constitution(collected)
    assert drafted is not None
    assert document.parse(as_yaml(drafted, collected)) == drafted
