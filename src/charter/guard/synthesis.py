"""Guard data from a constitution (arXiv 2501.18837, §3): synthesised, dressed up, balanced, split.

    OUT/
    ├── harmful-<category>/   material: base prompts and answers, one folder a category
    ├── harmless-<category>/
    ├── pool/                 the benign pool
    ├── own/                  the user's own examples, with --from
    └── examples/             the rows; flips.jsonl beside them after an edit

Material is made category by category, each under a key of what that category says. An edit of the
document therefore makes anew what it touches and nothing else. Rows are put together at the end, in
two passes over the material: one that finds duplicates and plans the forms, one that writes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from charter.constitution.document import Constitution
from charter.engine.local import chunks
from charter.errors import InputError
from charter.guard import dressing, material, slots
from charter.guard.dedup import SeenTexts
from charter.guard.dressing import Base, Plan
from charter.guard.examples import LABELS, GuardExample, Material
from charter.guard.flips import Flip, flips
from charter.guard.forms.catalogue import form, forms
from charter.guard.frames import frames_digest
from charter.guard.material import MaterialDeps
from charter.guard.slots import MaterialConfig, Slot, Subject
from charter.guard.sources import (
    Given,
    by_category,
    categories,
    fallback_clauses,
    from_file,
    merged,
    pool,
)
from charter.records import Dropped, Origin, Record, digest
from charter.store import DROPPED, RECORDS, Manifest, RunFolder, StageFolder

STAGE = dressing.STAGE
POOL, OWN, FLIPS = "pool", "own", "flips.jsonl"
_AT_ONCE = 200


class SynthesisConfig(Record, frozen=True):
    """What is to be made."""

    material: MaterialConfig = MaterialConfig()
    pool: int = 1000
    """Most prompts of the benign pool."""
    forms: tuple[str, ...] = ()
    """Attack forms; all if none are named."""
    forms_each: int = 4
    """Forms for each harmful prompt; harmless twins come beside them."""
    setups: int = 60
    """Rows with a long set-up and nothing asked, labelled harmful."""
    duplicate: float = 0.6
    """Similarity of word trigrams from which a prompt is a duplicate."""

    def check(self) -> SynthesisConfig:
        """The same.

        Raises:
            InputError: a number is out of range, or a form is unknown.
        """
        wanted = {"per_category": self.material.per_category, "forms_each": self.forms_each}
        for name, value in wanted.items():
            if value < 1:
                raise InputError(f"is {value}", field=name, expected="at least 1")
        if not 0.0 < self.duplicate <= 1.0:
            raise InputError(f"is {self.duplicate}", field="duplicate", expected="0 to 1")
        for name in self.forms:
            form(name)
        return self


class Synthesised(Record, frozen=True):
    """What came of it.

    Attributes:
        examples: the file of rows.
        rows: how many there are.
        counts: rows by split, part (prompt or answer) and label.
        by_form: prompt rows by form and label.
        by_category: rows by category ("" for the pool) and label.
        dropped: prompts and answers left out, by reason.
        made: folders of material that were made or finished by this call.
        kept: those that were there already.
        short: categories with fewer base prompts than wanted, and how many they have.
        flipped: rows of the earlier data that have another label now.
    """

    examples: str
    rows: int
    counts: dict[str, int]
    by_form: dict[str, dict[str, int]]
    by_category: dict[str, dict[str, int]]
    dropped: dict[str, int]
    made: tuple[str, ...]
    kept: tuple[str, ...]
    short: dict[str, int]
    flipped: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A folder of material to be."""

    subject: Subject
    wanted: list[Slot]
    config: MaterialConfig
    asked: dict[str, Any]


def run(
    constitution: Constitution,
    config: SynthesisConfig,
    out: str | Path,
    *,
    deps: MaterialDeps,
    named: str = "",
    own: str | None = None,
) -> Synthesised:
    """Write guard data, or what is missing of it.

    Args:
        constitution: its categories say what is made, and its principles are cited.
        config: how much.
        out: folder; one that was begun is gone on with.
        deps: generator, scorer, seed.
        named: name of the generator and scorer, for the keys: asking a model would load it.
        own: file with the user's own examples.

    Raises:
        InputError: the document has no categories, or the file or a setting is wrong.
        WorkError: a model or the disk failed; what was made until then is kept.
    """
    config.check()
    parts = list(_parts(constitution, config, deps, named, own))
    folder = RunFolder(out)
    with folder.locked():
        stages, made = [], []
        for part in parts:
            stage = folder.stage(part.subject.name, part.asked)
            if stage.manifest is None:
                made.append(part.subject.name)
                material.run(part.subject, part.wanted, part.config, stage, deps=deps)
            stages.append(stage)
        return _assemble(folder, stages, constitution, config, deps, tuple(made))


def verdicts(stage: StageFolder) -> dict[str, str]:
    """Label by exchange of the rows in a folder; see `flips.flips`."""
    return {row.exchange: row.label for row in stage.log(GuardExample)}


def _parts(
    constitution: Constitution,
    config: SynthesisConfig,
    deps: MaterialDeps,
    named: str,
    own: str | None,
) -> Iterator[_Part]:
    known = categories(constitution)
    if not known:
        raise InputError(
            f"constitution {constitution.name!r} has no categories",
            field="categories",
            expected="harmful and harmless categories; see docs/constitution.md",
        )
    fallback: dict[str, tuple[str, ...]] = {
        label: fallback_clauses(constitution, label) for label in LABELS
    }
    cited = {id: c.principles or fallback[label] for id, (label, c) in known.items()}
    part = partial(_part, constitution, deps=deps, named=named)
    as_is = replace(config.material, answers=0, languages=())
    if own is not None:
        mine = merged(from_file(own, constitution))
        subject = Subject(OWN, "harmless", "", "", "", {**cited, **fallback})
        yield part(subject, mine, replace(as_is, per_category=len(mine)), made=False)
    at_hand = by_category(constitution)
    for id, (label, category) in known.items():
        name = f"{label}-{id}"
        subject = Subject(name, label, id, category.title, category.text, {label: cited[id]})
        yield part(subject, at_hand[id], config.material, made=deps.generator is not None)
    subject = Subject(POOL, "harmless", "", "", "", {"harmless": fallback["harmless"]})
    yield part(subject, pool(constitution), replace(as_is, per_category=config.pool), made=False)


def _part(
    constitution: Constitution,
    subject: Subject,
    given: list[Given],
    config: MaterialConfig,
    *,
    deps: MaterialDeps,
    named: str,
    made: bool,
) -> _Part:
    wanted = slots.slots(subject, given, config, deps.seed, made=made)
    cited = sorted({id for ids in subject.clauses.values() for id in ids})
    digests = {id: constitution.principle(id).digest for id in cited}
    asked = slots.asked(subject, wanted, config, clauses=digests, models=named, seed=deps.seed)
    return _Part(subject, wanted, config, asked)


def _assemble(
    folder: RunFolder,
    stages: list[StageFolder],
    constitution: Constitution,
    config: SynthesisConfig,
    deps: MaterialDeps,
    made: tuple[str, ...],
) -> Synthesised:
    held = {stage.stage: _held(stage) for stage in stages}
    asked = [held, config, deps.seed, digest(constitution), frames_digest()]
    before = _verdicts_before(folder, asked)
    stage = folder.stage(STAGE, asked)
    if stage.manifest is None:
        _Assembly(stages, stage, constitution, config, deps).write(before)
    manifest = stage.manifest
    assert manifest is not None
    return _summary(stage, manifest, stages, config, made)


def _held(stage: StageFolder) -> dict[str, str]:
    manifest = stage.manifest
    assert manifest is not None
    return {name: entry.sha256 for name, entry in manifest.files.items()}


def _verdicts_before(folder: RunFolder, asked: Any) -> dict[str, str]:
    """Verdicts of finished rows that are about to be replaced."""
    if folder.fits(STAGE, asked):
        return {}
    earlier = StageFolder(folder.path / STAGE, STAGE, "")
    return verdicts(earlier) if earlier.manifest else {}


class _Assembly:
    """Puts the rows together."""

    def __init__(
        self,
        stages: list[StageFolder],
        out: StageFolder,
        constitution: Constitution,
        config: SynthesisConfig,
        deps: MaterialDeps,
    ) -> None:
        self.stages, self.out, self.config, self.deps = stages, out, config, deps
        self.clauses = fallback_clauses(constitution, "harmful")
        self.origin = Origin(
            STAGE, "library", constitution.digest, frames_digest(), None, deps.seed
        )

    def write(self, before: dict[str, str]) -> None:
        """All rows, duplicates, flips, and the manifest."""
        started = time.monotonic()
        for name in (RECORDS, DROPPED, FLIPS):
            # Rows are made from what is on disk, at no cost: half a file is simply made again.
            (self.out.path / name).unlink(missing_ok=True)
        bases = self._kept()
        names = self.config.forms or tuple(forms())
        planned = dressing.plan(bases.values(), names, self.config.forms_each, self.deps.seed)
        log, found = self.out.log(GuardExample), _Counts()
        for group in chunks(self._rows(bases, planned), _AT_ONCE):
            found.add(group)
            log.append(group)
        self._note_flips(before)
        self.out.finish(time.monotonic() - started, found.notes())

    def _kept(self) -> dict[str, Base]:
        """Bases that repeat no earlier one; the others are written down as dropped."""
        seen, bases = SeenTexts(self.config.duplicate), dict[str, Base]()
        dropped: list[Dropped] = []
        for found in self._material():
            text = "\n".join(message.content for message in found.prompt.messages)
            earlier = found.id if found.id in bases else seen.add(found.id, text)
            if earlier:
                dropped.append(Dropped(found.id, STAGE, "duplicate", earlier))
            else:
                bases[found.id] = dressing.base_of(found)
        self.out.log(Dropped, DROPPED).append(dropped)
        return bases

    def _rows(self, bases: dict[str, Base], planned: Plan) -> Iterator[GuardExample]:
        written: set[str] = set()
        for found in self._material():
            if found.id in bases and found.id not in written:
                written.add(found.id)
                yield from dressing.rows(found, planned.get(found.id, ()), forms(), self.origin)
        yield from dressing.setups(self.config.setups, self.clauses, self.origin)

    def _material(self) -> Iterator[Material]:
        for stage in self.stages:
            yield from stage.log(Material)

    def _note_flips(self, before: dict[str, str]) -> None:
        if not before:
            return
        log = self.out.log(GuardExample)
        after = {row.exchange: row.label for row in log}
        cited = {row.exchange: row.clauses for row in log}
        self.out.log(Flip, FLIPS).append(flips(before, after, cited))


class _Counts:
    """Counts rows as they go by."""

    def __init__(self) -> None:
        self.counts, self.form = Counter[str](), dict[str, Counter[str]]()
        self.category = dict[str, Counter[str]]()

    def add(self, rows: list[GuardExample]) -> None:
        for row in rows:
            part = "answer" if row.answer else "prompt"
            self.counts[f"{row.split}/{part}/{row.label}"] += 1
            self.category.setdefault(row.category, Counter())[row.label] += 1
            if not row.answer:
                self.form.setdefault(row.form, Counter())[row.label] += 1

    def notes(self) -> dict[str, Any]:
        return {
            "counts": dict(sorted(self.counts.items())),
            "by_form": {name: dict(c) for name, c in self.form.items()},
            "by_category": {name: dict(c) for name, c in self.category.items()},
        }


def _summary(
    stage: StageFolder,
    manifest: Manifest,
    stages: list[StageFolder],
    config: SynthesisConfig,
    made: tuple[str, ...],
) -> Synthesised:
    dropped, short = Counter(manifest.dropped), dict[str, int]()
    for part in stages:
        done = part.manifest
        assert done is not None
        dropped.update(done.dropped)
        if part.stage not in (POOL, OWN) and done.kept < config.material.per_category:
            short[part.stage] = done.kept
        for found in part.log(Material):
            dropped.update({f"answer_{why}": n for why, n in found.unlabelled.items()})
    return Synthesised(
        str(stage.path / RECORDS),
        manifest.kept,
        manifest.notes["counts"],
        manifest.notes["by_form"],
        manifest.notes["by_category"],
        dict(sorted(dropped.items())),
        made,
        tuple(part.stage for part in stages if part.stage not in made),
        short,
        sum(1 for _ in stage.log(Flip, FLIPS)),
    )
