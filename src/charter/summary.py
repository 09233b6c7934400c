"""What a run found, in one small JSON file, gathered from the folders of its stages."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from charter.cache import CallCache
from charter.constitution.document import Constitution
from charter.evaluate import error_rates
from charter.evaluate.measure import measurements
from charter.evaluate.stage import STAGE as EVALUATE
from charter.models.spend import Spend, spend
from charter.recipe import Recipe
from charter.records import Answer, Measurement, Record
from charter.store import RunFolder, StageFolder

CALLS = "calls.sqlite"
"""File of a run folder that holds its model calls, and what they cost."""


class Summary(Record, frozen=True):
    """`RUN/summary.json`."""

    recipe: Recipe
    constitution_digest: str
    measurements: tuple[Measurement, ...]
    dropped: dict[str, dict[str, int]]
    seconds: dict[str, float]
    run: str
    spend: dict[str, Spend] = {}
    """Tokens of remote models, over the run and its resumptions, by the provider's name."""


def summarise(
    folder: RunFolder,
    recipe: Recipe,
    constitution: Constitution,
    left_out: dict[str, int] | None = None,
) -> Summary:
    """Gather a run's figures; stages that have not finished are left out.

    Args:
        folder: the run.
        recipe: what was asked.
        constitution: the document in force.
        left_out: prompts that never entered, by reason.
    """
    manifests = folder.manifests()
    found: list[Measurement] = []
    if EVALUATE in manifests:
        answers = StageFolder(folder.path / EVALUATE, EVALUATE, "").log(Answer)
        errors = error_rates.of_notes(manifests[EVALUATE].notes)
        found = measurements(answers, recipe.evaluate, recipe.seed, errors=errors)
    dropped: dict[str, Any] = {name: m.dropped for name, m in manifests.items() if m.dropped}
    if left_out:
        dropped["prompts"] = left_out
    return Summary(
        recipe,
        constitution.digest,
        tuple(found),
        dropped,
        {name: m.seconds for name, m in manifests.items()},
        str(folder.path),
        _spent(folder),
    )


def _spent(folder: RunFolder) -> dict[str, Spend]:
    """What remote models have cost; a run that asked none has no such file, or an empty table."""
    path = folder.path / CALLS
    if not path.exists():
        return {}
    with closing(CallCache(path)) as calls:
        hits = calls.prefix_hits()
        return {
            model: spend(read, written, hits.get(model))
            for model, (read, written) in sorted(calls.spent().items())
        }
