"""The audit of a run, written to files, and the one part of it that asks a judge again.

Joins `evaluate.audit`, which reads records, with the judge of the run, which is asked about some of
its comparisons in other words. Without that no model is loaded.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from charter.constitution.document import Constitution
from charter.engine.local import Progress, chunks, silent
from charter.errors import DataError, StoreError, boundary
from charter.evaluate.audit import Audit, audit
from charter.evaluate.audit_page import render
from charter.evaluate.gaps import parted
from charter.judging.config import resolve
from charter.judging.making import make
from charter.judging.paraphrase import STYLES, paraphrase_id, with_paraphrases
from charter.models.loading import Models
from charter.recipe import Recipe
from charter.records import Judge, Labelled, Verdict
from charter.seeds import derive
from charter.store import RECORDS, RecordLog, write_atomic

STAGE = "audit"
_AT_ONCE = 16


def run(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    paraphrases: int = 0,
    progress: Progress = silent,
) -> tuple[Audit, dict[str, str]]:
    """Audit a run and write `audit.json` and `audit.html`.

    Args:
        folder: the run.
        out: where to write; into the run if None.
        paraphrases: comparisons that its judge is asked about in other words.
        progress: told how many of them are done.

    Returns:
        the audit, and the files by kind.

    Raises:
        DataError: the folder is no run.
        ModelError: the judge's model cannot be loaded.
    """
    wordings = _reworded(Path(folder), paraphrases, progress) if paraphrases else None
    found = audit(folder, wordings=wordings)
    target = Path(out or folder)
    with boundary(StoreError, f"making folder {target}", catch=(OSError,)):
        target.mkdir(parents=True, exist_ok=True)
    files = {"json": target / "audit.json", "html": target / "audit.html"}
    write_atomic(files["json"], msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    write_atomic(files["html"], render(found).encode())
    return found, {kind: str(path) for kind, path in files.items()}


def _reworded(folder: Path, count: int, progress: Progress) -> dict[str, list[bool]]:
    """By clause, whether rewordings part, on comparisons that the run has labelled."""
    try:
        recipe = msgspec.json.decode((folder / "recipe.json").read_bytes(), type=Recipe)
        text = (folder / "constitution.json").read_bytes()
        constitution = msgspec.json.decode(text, type=Constitution)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(
            f"cannot be audited: {error}", file=folder, expected="a run folder"
        ) from error
    config = resolve(recipe.feedback.judge, recipe.judges)
    with closing(Models(endpoint=recipe.endpoint)) as models:
        made = make(
            config,
            with_paraphrases(constitution, len(STYLES)),
            models,
            default_model=recipe.feedback.model or recipe.model,
            judges=recipe.judges,
        )
        return _ask(made.judge, _sample(folder, count, recipe.seed), progress)


def _sample(folder: Path, count: int, seed: int) -> list[Labelled]:
    """Labelled comparisons chosen by a hash, so that their order does not matter."""
    log = RecordLog(folder / "feedback" / RECORDS, Labelled)
    labelled = (row for row in log if isinstance(row.label, Verdict))
    return heapq.nsmallest(count, labelled, key=lambda r: derive(seed, STAGE, r.comparison.id))


def _ask(judge: Judge, sample: Sequence[Labelled], progress: Progress) -> dict[str, list[bool]]:
    rows: dict[str, list[list[float]]] = defaultdict(list)
    done = 0
    for part in chunks(sample, _AT_ONCE):
        principles = [_principles(row) for row in part]
        asked = [[id for p in ids for id in _wordings(p)] for ids in principles]
        votes = judge.vote([row.comparison for row in part], asked)
        for ids, found in zip(principles, votes, strict=True):
            each = len(STYLES) + 1
            for place, principle in enumerate(ids):
                said = found[place * each : (place + 1) * each]
                # A wording that the judge abstains on compares with nothing.
                known = [p for p in said if isinstance(p, float)]
                if len(known) > 1:
                    rows[principle].append(known)
        done += len(part)
        progress(STAGE, done, len(sample))
    return {principle: parted(found) for principle, found in rows.items()}


def _principles(row: Labelled) -> list[str]:
    assert isinstance(row.label, Verdict)
    return [vote.principle for vote in row.label.votes]


def _wordings(principle: str) -> list[str]:
    return [principle, *(paraphrase_id(principle, style) for style in range(len(STYLES)))]
