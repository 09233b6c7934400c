"""The rows of guard data, put together from material: duplicates out, forms on, counted.

Two passes over the material on disk: one finds duplicates and plans the forms, the other writes.
Calls no model, so half a file is simply made again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from charter.constitution.document import Constitution
from charter.engine.local import chunks
from charter.errors import InputError
from charter.guard import dressing
from charter.guard.dedup import SeenTexts
from charter.guard.dressing import Base, Plan
from charter.guard.examples import GuardExample, Material
from charter.guard.flips import Flip, flips
from charter.guard.forms.catalogue import form, forms
from charter.guard.frames import frames_digest
from charter.guard.slots import MaterialConfig
from charter.guard.sources import fallback_clauses
from charter.records import Dropped, Origin, Record
from charter.store import DROPPED, RECORDS, StageFolder

STAGE = dressing.STAGE
FLIPS = "flips.jsonl"
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


def verdicts(stage: StageFolder) -> dict[str, str]:
    """Label by exchange of the rows in a folder; see `flips.flips`."""
    return {row.exchange: row.label for row in stage.log(GuardExample)}


class Assembly:
    """Puts the rows together.

    Args:
        stages: finished folders of material, in the order in which duplicates are looked for.
        out: the folder of the rows.
        constitution: for the clauses of rows without a category.
        config: forms, set-ups, and what counts as a duplicate.
        seed: of the whole synthesis.
    """

    def __init__(
        self,
        stages: list[StageFolder],
        out: StageFolder,
        constitution: Constitution,
        config: SynthesisConfig,
        seed: int,
    ) -> None:
        self.stages, self.out, self.config, self.seed = stages, out, config, seed
        self.clauses = fallback_clauses(constitution, "harmful")
        self.origin = Origin(STAGE, "library", constitution.digest, frames_digest(), None, seed)

    def write(self, before: dict[str, str]) -> None:
        """All rows, duplicates, flips, and the manifest."""
        started = time.monotonic()
        for name in (RECORDS, DROPPED, FLIPS):
            # Rows are made from what is on disk, at no cost: half a file is simply made again.
            (self.out.path / name).unlink(missing_ok=True)
        bases = self._kept()
        names = self.config.forms or tuple(forms())
        planned = dressing.plan(bases.values(), names, self.config.forms_each, self.seed)
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
