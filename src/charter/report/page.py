"""The report: one HTML file that needs nothing but itself, from whatever a run folder holds.

Owns the order of the page and its safety. Texts of models and of red teams are data: every one is
escaped (autoescape is on for all templates, charts escape as they draw), and a content policy in
the page lets no script run but the page's own and lets nothing be loaded, should one slip through.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from charter.errors import StoreError, boundary
from charter.records import Answer, Labelled, RevisionChain
from charter.report.answers import answers
from charter.report.chains import chains
from charter.report.files import RunFiles
from charter.report.headline import headline
from charter.report.labels import labels
from charter.report.learning import learnings
from charter.report.ledger import ledger, source_lines
from charter.report.principles import document, titles
from charter.report.suites import suites
from charter.report.tallies import AnswerTally, ChainTally, LabelTally
from charter.report.training import preference_model, trainings
from charter.report.twin import twin
from charter.store import write_atomic

REPORT = "report.html"
_PAGES = Environment(
    loader=PackageLoader("charter.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_report(run: Path, out: Path | None = None) -> Path:
    """Write `report.html` into a run folder. The same folder gives the same bytes.

    Args:
        run: a run folder; stages that have not run, or not finished, are named as such.
        out: another file to write.

    Returns:
        the path of the report.

    Raises:
        DataError: there is no such folder.
        StoreError: a record, a manifest or the summary is damaged, or the disk is full.
    """
    files = RunFiles(Path(run))
    path = files.path / REPORT if out is None else out
    save(path, render("page.html", _sections(files)))
    return path


def render(template: str, content: Mapping[str, Any]) -> str:
    """A page of this package with its style and its script inside it; all content is escaped."""
    return _PAGES.get_template(template).render(content, **_inline())


def save(path: Path, html: str) -> None:
    """Write a page, whole or not at all; its folder is made if need be.

    Raises:
        StoreError: the disk is full or read-only.
    """
    with boundary(StoreError, f"making folder {str(path.parent)!r}", catch=(OSError,)):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, html.encode())


def _sections(files: RunFiles) -> dict[str, Any]:
    """What each section shows, or None for one that has nothing to show yet."""
    critique, feedback = files.stage("critique"), files.stage("feedback")
    evaluate = files.stage("evaluate")
    chain, label, answer = ChainTally(), LabelTally(), AnswerTally()
    _gather(chain.add, critique.records(RevisionChain))
    _gather(label.add, feedback.records(Labelled))
    _gather(answer.add, evaluate.records(Answer))
    sources = {"chains": chain.sources, "pairs": label.sources, "answers": answer.sources}
    return {
        "recipe": files.recipe,
        "headline": headline(files),
        "document": document(files.constitution, chain, label),
        "chains": chains(chain, titles(files.constitution)),
        "labels": labels(feedback, label),
        "preference": preference_model(files.stage("preference")),
        "trainings": trainings(files),
        "learnings": learnings(files),
        "twin": twin(files.stage("twin")),
        "suites": suites(files),
        "answers": answers(evaluate, answer),
        "ledger": ledger(files),
        "sources": source_lines(sources),
    }


def _gather(add: Callable[[Any], None], records: Iterable[Any]) -> None:
    for record in records:
        add(record)


def _inline() -> dict[str, Markup]:
    """The style sheet, the script, and the script's digest for the page's content policy."""
    script = _own("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "style": Markup(_own("style.css")),
        "script": Markup(script),
        "script_digest": Markup(digest),
    }


def _own(name: str) -> str:
    """A file of this package, as it is."""
    assert _PAGES.loader is not None
    return _PAGES.loader.get_source(_PAGES, name)[0]
