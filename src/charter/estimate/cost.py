"""What a recipe will cost: calls, tokens, memory and seconds by stage, before it is run.

Nothing is fetched: a model that is not on this machine is told by its size, and the prompts of the
hub by the recipe's counts. Whatever was assumed stands among the notes.
"""

from __future__ import annotations

from charter.estimate.counts import count
from charter.estimate.machine import Machine, Rates, machine_of, rates_of
from charter.estimate.memory import Memory, MemoryPlan
from charter.estimate.shape import ModelShape, shape_of
from charter.estimate.work import Planner, Work
from charter.recipe import Recipe
from charter.records import Record

_SOURCES = {
    "files": "counted from its configuration",
    "recipe": "as plan.shape states",
    "name": "told from its name: give plan.shape to be exact",
}


class StageEstimate(Record, frozen=True):
    """One stage: model calls, tokens by kind of work, seconds, and memory at its peak."""

    stage: str
    calls: int
    generated: int
    read: int
    trained: int
    remote: int
    seconds: float
    memory_gb: float
    memory: Memory


class Estimate(Record, frozen=True):
    """A recipe's cost."""

    model: ModelShape
    machine: Machine
    rates: Rates
    rates_from: str
    stages: tuple[StageEstimate, ...]
    tokens: int
    """Generated, read, trained on and sent to endpoints, all stages."""
    seconds: float
    memory_gb: float
    """Of the stage that needs most."""
    notes: tuple[str, ...]


def estimate(recipe: Recipe) -> Estimate:
    """Read the prompts, size up model and machine, and add up the stages.

    Raises:
        CharterError: as the run itself would, for wrong input or a missing model.
    """
    counts, shape, machine = count(recipe), shape_of(recipe), machine_of(recipe.plan)
    rates, rates_from = rates_of(recipe, shape)
    planner = Planner(recipe, counts)
    memory = MemoryPlan(recipe, shape, machine, planner)
    stages = tuple(_stage(work, rates, memory.of(work.stage)) for work in planner.stages())
    peak = max(stage.memory_gb for stage in stages)
    size = f"{recipe.model}: {shape.parameters / 1e9:.2f} billion weights, {_SOURCES[shape.source]}"
    return Estimate(
        shape,
        machine,
        rates,
        rates_from,
        stages,
        sum(s.generated + s.read + s.trained + s.remote for s in stages),
        round(sum(stage.seconds for stage in stages), 1),
        peak,
        (size, *counts.notes, *_warnings(stages, rates, machine, peak)),
    )


def _stage(work: Work, rates: Rates, memory: Memory) -> StageEstimate:
    seconds = work.generated / rates.generate + work.read / rates.read + work.trained / rates.train
    seconds += work.remote / rates.remote if rates.remote else 0.0
    return StageEstimate(
        work.stage,
        work.calls,
        work.generated,
        work.read,
        work.trained,
        work.remote,
        round(seconds, 1),
        round(memory.total, 2),
        memory,
    )


def _warnings(
    stages: tuple[StageEstimate, ...], rates: Rates, machine: Machine, peak: float
) -> list[str]:
    found = []
    if any(stage.remote for stage in stages) and not rates.remote:
        found.append("the time of calls to endpoints is not counted: give plan.remote_tokens_s")
    over = [stage.stage for stage in stages if stage.memory_gb > machine.memory_gb]
    if over:
        listed = ", ".join(over)
        found.append(f"more memory than the {machine.memory_gb:.0f} GB of {machine.name}: {listed}")
    return found
