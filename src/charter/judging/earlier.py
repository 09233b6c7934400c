"""The labels of before an edit, kept beside the run that goes on from them.

    RUN/earlier/
    ├── labels.jsonl    the labelling stage's records, byte for byte, those of its shards as well
    └── about.json      where they come from, digests of principles and records; written last

It is a copy, so that a run may be relabelled in its own folder, where the stage's folder is moved
aside, and so that a relabelling that was cut short goes on from the same votes. Knows nothing of
what is kept or asked: that is `relabel`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from charter.constitution.document import Constitution, Principle
from charter.constitution.priorities import Before
from charter.errors import DataError, StoreError, boundary
from charter.judging.precedence import NONE
from charter.judging.relabel import (
    Changes,
    Drawn,
    Edit,
    RelabelSummary,
    digests,
    relabel,
)
from charter.records import Comparison, Judge, Label, Labelled, Record, digest
from charter.store import PARTIAL, Manifest, RecordLog, StageFolder, write_atomic

FOLDER, LABELS, ABOUT, CONSTITUTION = "earlier", "labels.jsonl", "about.json", "constitution.json"
_EXPECTED = "a run folder in which `charter label` has finished"


class About(Record, frozen=True):
    """Where the labels come from.

    Attributes:
        run: the folder they were taken from.
        sha256: of the labels.
        principles: digest of each principle they were made under, by id.
    """

    run: str
    sha256: str
    principles: dict[str, str]


class EarlierLabels:
    """Labels of a finished run, looked up by comparison.

    Holds a place in the file for every comparison, not its text.
    """

    def __init__(self, folder: Path, about: About) -> None:
        self.path, self.about = folder / LABELS, about
        self._decoder = msgspec.json.Decoder(Labelled)

    def edit(self, principles: Iterable[Principle]) -> Edit:
        """What changed since, given the principles now in force."""
        return Edit(self.about.principles, digests(principles))

    def relabel(
        self,
        edit: Edit,
        judge: Judge,
        comparisons: Sequence[Comparison],
        drawn: Sequence[Drawn],
        before: Before = NONE,
    ) -> list[Label]:
        """See `relabel.relabel`."""
        old = [self._record(c.id).label for c in comparisons]
        return relabel(judge, comparisons, drawn, old, edit, before=before)

    def changes(
        self, edit: Edit, records: Iterable[Labelled], draw: Callable[[Comparison], Drawn]
    ) -> RelabelSummary:
        """What the relabelling kept, asked and turned round, from its finished records."""
        changes = Changes(edit)
        for new in records:
            changes.add(self._record(new.comparison.id).label, new, draw(new.comparison))
        return changes.summary()

    def vouch(self, comparisons: Iterable[Comparison], judge: str) -> None:
        """Check that the old votes speak of these comparisons, and are this judge's.

        Raises:
            DataError: they are about other comparisons, or another judge gave them.
        """
        seen = 0
        for comparison in comparisons:
            seen += 1
            if comparison.id not in self._places:
                self._refuse(f"has no label of comparison {comparison.id!r}", "the same pairs")
            old = self._record(comparison.id)
            if _content(old.comparison) != _content(comparison):
                problem = f"comparison {comparison.id!r} has other texts there"
                self._refuse(problem, "the same pairs")
            if old.label.judge != judge:
                problem = f"labels are by judge {old.label.judge!r}, the recipe's is {judge!r}"
                self._refuse(problem, "the same feedback.judge and feedback.model as then")
        if seen != len(self._places):
            problem = f"labels {len(self._places)} comparisons, this run has {seen}"
            self._refuse(problem, "the same pairs")

    @cached_property
    def _places(self) -> dict[str, int]:
        places, start = {}, 0
        with self.path.open("rb") as stream:
            for line in stream:
                places[self._decoder.decode(line).comparison.id] = start
                start += len(line)
        return places

    def _record(self, comparison: str) -> Labelled:
        with self.path.open("rb") as stream:
            stream.seek(self._places[comparison])
            return self._decoder.decode(stream.readline())

    def _refuse(self, problem: str, expected: str) -> None:
        raise DataError(problem, file=self.about.run, field="relabel-from", expected=expected)


def take(source: Path, stage: str, run: Path) -> EarlierLabels:
    """Copy the labels of a finished run to another run, or to the run itself.

    Args:
        source: the run they come from.
        stage: the folder of the labelling stage in it.
        run: the run to be labelled; may be `source`, whose own labels may be half-way through a
            relabelling: then the copy that this began from is used.

    Raises:
        DataError: the source is no run, or its labels are not finished.
    """
    folder, labels = run / FOLDER, StageFolder(source / stage, stage, "")
    document, manifest, kept = _document(source), labels.manifest, _about(folder)
    if manifest is None:
        if kept is not None and source.resolve() == run.resolve():
            return EarlierLabels(folder, kept)
        raise DataError("the labels are not finished", file=labels.path, expected=_EXPECTED)
    sha256 = manifest.sha256_of_records
    if kept is not None and (kept.run, kept.sha256) == (str(source), sha256):
        return EarlierLabels(folder, kept)
    about = About(str(source), sha256, _principles(manifest, document))
    _copy(labels.log(Labelled), folder / LABELS)
    write_atomic(folder / ABOUT, msgspec.json.format(msgspec.json.encode(about)))
    return EarlierLabels(folder, about)


def summary_of(run: str | Path, stage: str) -> RelabelSummary | None:
    """What the last labelling of a run kept and asked; None if it was no relabelling."""
    manifest = StageFolder(Path(run) / stage, stage, "").manifest
    noted = manifest.notes.get("relabel") if manifest else None
    return msgspec.convert(noted, RelabelSummary) if noted else None


def _principles(manifest: Manifest, document: Constitution) -> dict[str, str]:
    """Digests of the principles a labelling used; `constitution.json` may be of a later command."""
    noted = manifest.notes.get("principles")
    return dict(noted) if noted else digests(document.principles)


def _document(run: Path) -> Constitution:
    file = run / CONSTITUTION
    if not file.exists():
        raise DataError("not a run folder", file=run, field="relabel-from", expected=_EXPECTED)
    with boundary(StoreError, f"reading {file}", catch=(msgspec.MsgspecError, OSError)):
        return msgspec.json.decode(file.read_bytes(), type=Constitution)


def _about(folder: Path) -> About | None:
    file = folder / ABOUT
    if not file.exists():
        return None
    with boundary(StoreError, f"reading {file}", catch=(msgspec.MsgspecError, OSError)):
        return msgspec.json.decode(file.read_bytes(), type=About)


def _copy(source: RecordLog, target: Path) -> None:
    partial = target.with_name(f".{target.name}{PARTIAL}")
    with boundary(StoreError, f"copying {source.path}", catch=(OSError,)):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Without its description a copy means nothing; an old one must not describe new labels.
        (target.parent / ABOUT).unlink(missing_ok=True)
        with partial.open("wb") as stream:
            for _, line in source.lines():
                stream.write(line + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)


def _content(comparison: Comparison) -> str:
    """Digest of what a judge reads, whoever made it."""
    return digest([comparison.prompt, comparison.a, comparison.b])
