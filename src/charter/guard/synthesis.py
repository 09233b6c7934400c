"""Guard data from a constitution (arXiv 2501.18837, §3): synthesised, dressed up, balanced, split.

    OUT/
    ├── harmful-<category>/   material: base prompts and answers, one folder a category
    ├── harmless-<category>/
    ├── pool/                 the benign pool
    ├── own/                  the user's own examples, with --from
    └── examples/             the rows; flips.jsonl beside them after an edit

Material is made category by category, each under a key of what that category says. An edit of the
document therefore makes anew what it touches and nothing else. The rows are put together at the
end, by `assembly`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from charter.constitution.document import Constitution
from charter.errors import InputError
from charter.guard import material, slots
from charter.guard.assembly import FLIPS, STAGE, Assembly, SynthesisConfig, verdicts
from charter.guard.examples import LABELS, Material
from charter.guard.flips import Flip
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
from charter.records import Record, digest
from charter.store import RECORDS, Manifest, RunFolder, StageFolder

POOL, OWN = "pool", "own"


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
        Assembly(stages, stage, constitution, config, deps.seed).write(before)
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
