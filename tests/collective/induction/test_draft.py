"""The draft: a document that loads, citing its figures."""

from __future__ import annotations

from charter.collective.induction import draft, stage
from charter.collective.induction.config import InduceConfig
from charter.collective.induction.preferences import Preferences
from charter.constitution import document
from charter.constitution.lint import lint


def test_the_draft_loads_and_cites_its_figures(planted: Preferences) -> None:
    found = stage.run(planted, InduceConfig()).induced
    made = draft.constitution(found)
    assert made is not None
    text = draft.as_yaml(made)
    assert document.parse(text).digest == made.digest
    assert made.version.endswith("draft")
    first = made.principles[0]
    assert "Held-out pairs: explains 6 of 12 (50.0 %, 95 % interval" in first.rationale
    assert "Training pairs: explains 14 of 28" in first.rationale
    assert "0 against, 6 not relevant, 0 unscored" in first.rationale
    assert "confirmed" in first.rationale
    assert planted.digest in first.source
    assert "scripted@" in first.source
    assert "draft" in first.tags
    assert text.startswith("# DRAFT")


def test_lint_finds_nothing_but_the_draft(planted: Preferences, tmp_path: object) -> None:
    from pathlib import Path

    made = draft.constitution(stage.run(planted, InduceConfig()).induced)
    assert made is not None and isinstance(tmp_path, Path)
    file = tmp_path / "draft.yaml"
    file.write_text(draft.as_yaml(made), encoding="utf-8")
    assert not [one for one in lint(str(file)) if one.severity == "error"]


def test_where_nothing_was_learned_there_is_no_document(noise: object) -> None:
    assert callable(noise)
    found = stage.run(noise(40, 0), InduceConfig()).induced
    assert not found.above_chance
    assert draft.constitution(found) is None
