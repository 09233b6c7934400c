"""What an edit of the constitution does to the labels of a finished run.

Owns two questions: how many readings a relabel would ask the judge for, which needs no model, and
which verdicts would flip, which asks the judge. Nothing is written: the run is left as it is, and
`charter label --relabel-from` is what makes new labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from charter import feedback
from charter.constitution.document import Constitution
from charter.engine.local import Progress, silent
from charter.errors import DataError
from charter.judging.config import resolve
from charter.judging.ensemble import Ensemble
from charter.judging.making import make
from charter.judging.relabel import Changes, Edit, RelabelSummary, digests, relabel
from charter.models.loading import Models
from charter.recipe import Recipe
from charter.records import Judge, Labelled, Record
from charter.store import RECORDS, RecordLog, StageFolder

ORDERS = 2
"""Each vote is read with the answers in both orders (Lee et al. 2023, §3.1)."""
_AT_ONCE = 32


class RelabelCost(Record, frozen=True):
    """What a relabel would take over and ask, in votes; `calls` counts both orders.

    Attributes:
        comparisons: labelled in the run.
        kept: votes that still hold.
        asked: votes to be asked for.
        asked_because: those by reason: `changed`, `new` or `unread`.
        dropped: votes of principles that have no say any more.
        calls: readings by the judge.
    """

    comparisons: int
    kept: int
    asked: int
    asked_because: dict[str, int]
    dropped: int
    calls: int


def has_labels(run: str | Path) -> bool:
    """Whether a run's labelling has finished, so that its cost and its flips can be told."""
    return StageFolder(Path(run) / feedback.STAGE, feedback.STAGE, "").manifest is not None


def relabel_cost(run: str | Path, before: Constitution, after: Constitution) -> RelabelCost:
    """Count the readings that a relabel of a run would take.

    Args:
        run: a run folder in which labelling has finished.
        before: the document that its labels were made under.
        after: the edited one.

    Raises:
        DataError: the folder holds no finished labels, or no recipe.
    """
    folder = Path(run)
    ensemble = _ensemble(_recipe(folder), after)
    edit = Edit(digests(before.principles), digests(after.principles))
    comparisons = kept = dropped = 0
    why: Counter[str] = Counter()
    for labelled in _labels(folder):
        plan = edit.plan(labelled.label, ensemble.draw(labelled.comparison))
        comparisons += 1
        kept += len(plan.kept)
        dropped += len(plan.dropped)
        why.update(plan.why)
    asked = why.total()
    return RelabelCost(comparisons, kept, asked, dict(why), dropped, ORDERS * asked)


def relabel_flips(
    run: str | Path,
    before: Constitution,
    after: Constitution,
    *,
    judge: Judge | None = None,
    progress: Progress = silent,
) -> RelabelSummary:
    """Ask the judge for what changed, and say which verdicts would flip.

    Args:
        run: a run folder in which labelling has finished.
        before: the document that its labels were made under.
        after: the edited one.
        judge: the judge of the run; made from its recipe if not given.
        progress: told how many comparisons are done.

    Raises:
        DataError: as `relabel_cost`; or another judge gave the labels.
        ModelError: the judge's model cannot be loaded.
    """
    folder = Path(run)
    recipe = _recipe(folder)
    total = sum(1 for _ in _labels(folder))
    asking = judge or _judge(recipe, after)
    ensemble = _ensemble(recipe, after)
    changes = Changes(Edit(digests(before.principles), digests(after.principles)))
    done, labels = 0, _labels(folder)
    while group := list(islice(labels, _AT_ONCE)):
        _vouch(group, asking.identity, folder)
        _ask(group, asking, ensemble, changes)
        done += len(group)
        progress("relabel", done, total)
    return changes.summary()


def _ask(group: Sequence[Labelled], judge: Judge, ensemble: Ensemble, changes: Changes) -> None:
    comparisons, old = [g.comparison for g in group], [g.label for g in group]
    drawn = [ensemble.draw(c) for c in comparisons]
    fresh = relabel(judge, comparisons, drawn, old, changes.edit, before=ensemble.before)
    for before, comparison, label, principles in zip(old, comparisons, fresh, drawn, strict=True):
        changes.add(before, Labelled(comparison, label), principles)


def _vouch(group: Sequence[Labelled], judge: str, folder: Path) -> None:
    for labelled in group:
        if labelled.label.judge != judge:
            problem = f"labels are by judge {labelled.label.judge!r}, the recipe's is {judge!r}"
            raise DataError(problem, file=folder, expected="the judge that made the labels")


def _judge(recipe: Recipe, constitution: Constitution) -> Judge:
    config = recipe.feedback
    return make(
        resolve(config.judge, recipe.judges),
        constitution,
        Models(),
        default_model=config.model or recipe.model,
        judges=recipe.judges,
    ).judge


def _ensemble(recipe: Recipe, constitution: Constitution) -> Ensemble:
    config = recipe.feedback
    return Ensemble(
        constitution,
        config.principles,
        harmful_tags=config.harmful_tags,
        harmless_tags=config.harmless_tags,
        seed=recipe.seed,
    )


def _recipe(folder: Path) -> Recipe:
    file = folder / "recipe.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Recipe)
    except OSError as error:
        raise DataError("not a run folder", file=folder, expected="a recipe.json in it") from error
    except msgspec.MsgspecError as error:
        problem = f"made by another version of charter: {error}"
        raise DataError(problem, file=file) from error


def _labels(folder: Path) -> Iterator[Labelled]:
    if not has_labels(folder):
        expected = "a run folder in which `charter label` has finished"
        raise DataError("the labels are not finished", file=folder, expected=expected)
    return iter(RecordLog(folder / feedback.STAGE / RECORDS, Labelled))
