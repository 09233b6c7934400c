"""Study: does a miscalibrated critic make itself worse?

A bias of known size is planted in the critic, then critique, imitation and judging are repeated.
Measured are the bias of the critic and of the policy by round and dose, how much the loop amplifies
it, and what remedies do. Owns the doses, the control arm, and the intervals; the world of the loop
is `amplification`, and models come in through the deps.

Shape suffixes: P prompts, N samples, R rounds, D draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charter.engine.local import Progress, silent
from charter.errors import TrainingError
from charter.records import Model, Prompt, Record, Sampling, Scorer
from charter.seeds import derive
from charter.statistics import Rate
from charter.studies import ridge
from charter.studies.amplification import REMEDIES, Remedy, World, iterate
from charter.studies.best_of_n_curve import usable_prompts
from charter.studies.pool import draw, read
from charter.studies.traits import BIASES, Bias, bias_prompts

STUDY = "miscalibration"
_NOISE, _CRITICS = 0.5, 2
"""Spread of the further critics of an ensemble around the base score, and how many they are."""


class Settings(Record, frozen=True):
    """How much is planted and sampled. The defaults suit the embedded model on two cores."""

    biases: tuple[Bias, ...] = BIASES
    doses: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Sizes of the planted bias: slope on the trait over slope on the base score."""
    rounds: int = 3
    best_of: int = 4
    """The critic's revision is the answer that it likes best among so many."""
    prompts: int = 10
    """Prompts a bias, at most 12."""
    samples: int = 16
    sampling: Sampling = Sampling(max_tokens=28, temperature=1.0)
    features: int = 32
    """Directions of the activations that a critic can learn from."""
    train_rounds: int = 2
    """Rounds of real fine-tuning with the first bias at the largest dose; 0 leaves it out."""
    train_samples: int = 8
    """Answers a prompt in those rounds; the best of them is imitated."""
    draws: int = 200
    seed: int = 0


class Arm(Record, frozen=True):
    """One bias, dose and remedy.

    Attributes:
        bias: what was planted.
        dose: how much.
        remedy: what was done about it.
        critic: bias of the critic's verdicts in each round; None where it has no meaning.
        policy: trait of the policy's answers after each round, in sd of the start's, less that of
            the control arm with dose 0 and the same remedy.
        amplification: bias of the critic in the last round over that in the first; above 1 it made
            itself worse. None if the first cannot be told from 0.
        policy_amplification: the same of the policy.
    """

    bias: Bias
    dose: float
    remedy: str
    critic: list[Rate | None]
    policy: list[Rate | None]
    amplification: Rate | None
    policy_amplification: Rate | None


class TrainedRound(Record, frozen=True):
    """After a round of real fine-tuning: mean trait with the bias less that without, in sd."""

    bias: Bias
    dose: float
    round: int
    policy: Rate


class Miscalibration(Record, frozen=True):
    """What was found; `left_out` and `unscored` are counts of prompts and answers by bias."""

    base: str
    rounds: int
    arms: list[Arm]
    trained: list[TrainedRound]
    prompts: dict[str, int]
    left_out: dict[str, int]
    unscored: dict[str, int]
    skipped: dict[str, str] = {}
    """Biases that could not be studied, and why."""


@dataclass(frozen=True, slots=True)
class Deps:
    """What the study works with.

    Attributes:
        policy: the start, which is sampled.
        base: the critic before a bias is planted.
        features: what a critic can see of exchanges, [n, F].
        train: the rounds of real fine-tuning, given the settings; None leaves them out.
        progress: told how far sampling and reading are.
    """

    policy: Model
    base: Scorer
    features: Callable[[Sequence[tuple[Prompt, str]]], np.ndarray]
    train: Callable[[Settings], list[TrainedRound]] | None = None
    progress: Progress = silent


def run(settings: Settings, *, deps: Deps) -> Miscalibration:
    """Sample a pool a bias, iterate on it, and fine-tune for real where asked.

    Raises:
        TrainingError: nothing could be read of any pool.
    """
    worlds: dict[Bias, World] = {}
    unscored: dict[str, int] = {}
    left_out: dict[str, int] = {}
    skipped: dict[str, str] = {}
    for bias in settings.biases:
        world, missing, dropped = _world(bias, settings, deps)
        unscored[bias], left_out[bias] = missing, dropped
        reason = _unfit(world)
        if reason:
            skipped[bias] = reason
        else:
            worlds[bias] = world
    if not worlds:
        raise TrainingError(f"no bias can be studied on these answers: {skipped}")
    return Miscalibration(
        deps.base.identity,
        settings.rounds,
        [arm for bias, world in worlds.items() for arm in arms(bias, world, settings)],
        deps.train(settings) if deps.train is not None and settings.train_rounds else [],
        {str(bias): len(world.base_PN) for bias, world in worlds.items()},
        left_out,
        unscored,
        skipped,
    )


def arms(bias: Bias, world: World, settings: Settings) -> list[Arm]:
    """Every dose with every remedy, on one pool."""
    return [arm for remedy in REMEDIES for arm in _arms_of(bias, world, remedy, settings)]


def _world(bias: Bias, settings: Settings, deps: Deps) -> tuple[World, int, int]:
    """The pool of a bias, answers without a base score, and prompts left out for them."""
    asked = bias_prompts(bias, settings.prompts)
    prompts = [one.as_prompt() for one in asked]
    texts = draw(
        deps.policy,
        prompts,
        settings.samples,
        settings.sampling,
        seed=settings.seed,
        name=f"{bias} answers",
        progress=deps.progress,
    )
    flat = [(p, t) for p, row in zip(prompts, texts, strict=True) for t in row]
    shape = (len(prompts), settings.samples)
    base_PN = read(deps.base, flat, name=f"{bias} base", progress=deps.progress).reshape(shape)
    known_PN, kept_P = usable_prompts(base_PN)
    trait_PN = np.array(
        [[one.trait(t) for t in row] for one, row in zip(asked, texts, strict=True)]
    )
    small = ridge.compress(deps.features(flat), settings.features)
    # An answer without a score takes its prompt's mean, so that it wins no more than its share.
    with np.errstate(invalid="ignore"):
        middle_P1 = np.nansum(base_PN, 1, keepdims=True) / np.maximum(known_PN.sum(1), 1)[:, None]
    filled_PN = np.where(known_PN, base_PN, middle_P1)
    rows = np.flatnonzero(kept_P)
    source = np.random.default_rng(derive(settings.seed, STUDY, bias))
    noise = source.normal(size=(_CRITICS, *shape)) * _NOISE * (np.nanstd(base_PN) or 1.0)
    world = World(filled_PN, trait_PN, small.reshape(*shape, -1), filled_PN + noise)
    return world.part(rows), int((~known_PN).sum()), len(prompts) - len(rows)


def _unfit(world: World) -> str:
    """Why nothing can be learnt from a pool, "" if something can."""
    if len(world.base_PN) < 2:
        return "fewer than two prompts have answers that the critic can read"
    if (world.trait_PN - world.trait_PN.mean(1, keepdims=True)).std() < 1e-9:
        return "the trait is the same in all answers to a prompt"
    if (world.base_PN - world.base_PN.mean(1, keepdims=True)).std() < 1e-12:
        return "the critic scores all answers alike"
    return ""


def _arms_of(bias: Bias, world: World, remedy: Remedy, settings: Settings) -> list[Arm]:
    """All doses with one remedy, and their intervals by drawing prompts."""
    value = _figures(world, remedy, settings)
    source = np.random.default_rng(derive(settings.seed, STUDY, bias, remedy.name))
    prompts = len(world.base_PN)
    drawn = [
        _figures(world.part(source.integers(prompts, size=prompts)), remedy, settings)
        for _ in range(settings.draws)
    ]
    found = []
    for number, dose in enumerate(settings.doses):
        column = np.array([figures[number] for figures in drawn])
        rates = [_rate(v, c, prompts) for v, c in zip(value[number], column.T, strict=True)]
        found.append(_arm(bias, dose, remedy, rates, settings.rounds))
    return found


def _arm(bias: Bias, dose: float, remedy: Remedy, rates: Sequence[Rate | None], rounds: int) -> Arm:
    critic, policy = [*rates[:rounds]], [*rates[rounds : 2 * rounds]]
    return Arm(
        bias,
        dose,
        remedy.name,
        critic,
        policy,
        rates[-2] if _clear(critic[0]) else None,
        rates[-1] if _clear(policy[0]) else None,
    )


def _rate(value: float, drawn_D: np.ndarray, n: int) -> Rate | None:
    """A figure with its interval; None where it, or one draw in ten, has no meaning."""
    known_D = drawn_D[np.isfinite(drawn_D)]
    if not np.isfinite(value) or len(known_D) < 0.9 * len(drawn_D):
        return None
    low, high = np.quantile(known_D, [0.025, 0.975])
    return Rate(float(value), float(low), float(high), n)


def _figures(world: World, remedy: Remedy, settings: Settings) -> list[np.ndarray]:
    """For each dose: bias of critic and policy in every round, then both ratios of last to first.

    The control arm, without a planted bias, is run once for all doses.
    """
    shared: Mapping[str, int] = {"rounds": settings.rounds, "best_of": settings.best_of}
    control_R = iterate(world, 0.0, remedy, **shared)[1]
    found = []
    for dose in settings.doses:
        critic_R, trait_R = iterate(world, dose, remedy, **shared)
        policy_R = trait_R - control_R
        ratios = [_ratio(critic_R), _ratio(policy_R)]
        found.append(np.concatenate([critic_R, policy_R, ratios]))
    return found


def _ratio(bias_R: np.ndarray) -> float:
    return float(bias_R[-1] / bias_R[0]) if abs(bias_R[0]) > 1e-9 else float("nan")


def _clear(rate: Rate | None) -> bool:
    """Whether a figure can be told from 0."""
    return rate is not None and (rate.low > 0 or rate.high < 0)
