"""Study: how far can a proxy be optimised before what it stands for falls? (Gao et al. 2022)

Two ways away from the start policy, each against the proxy and against scorers that reward nothing:
best of n, exact for every n from one pool of answers, and RL with its KL measured at every step.
The two are never compared at equal KL: RL spends it differently (Gao et al. 2022, §3).

Owns the order of things and the finding. The curves are `curve`; models come in through the deps.

Shape suffixes: P prompts, N samples, K points of a path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from charter.engine.local import Progress, silent
from charter.errors import InputError, TrainingError
from charter.records import Model, Prompt, Record, Sampling, Scorer
from charter.seeds import derive
from charter.studies.best_of_n_curve import best_of_n_scores, grid, usable_prompts
from charter.studies.checkpoints import Visit
from charter.studies.curve import Curve, Path, trace
from charter.studies.pool import Pool, draw, fill, read
from charter.studies.synthetic import Drawn, Truth, best_of_n_pool, rl_path
from charter.training.best_of_n import best_of_n_kl

STUDY, PROXY, GOLD = "overoptimisation", "proxy", "gold"


class Settings(Record, frozen=True):
    """How much is sampled and trained. The defaults suit the embedded model on two cores."""

    prompts: int = 16
    """Prompts of the pool."""
    samples: int = 24
    """Answers a prompt, and so the largest n."""
    sampling: Sampling = Sampling(max_tokens=32, temperature=1.0)
    rl_steps: int = 12
    """Steps of RL; 0 leaves that path out."""
    rl_learning_rate: float = 5e-4
    """Large, since the path must lead away from the start within few steps."""
    rl_beta: float = 0.01
    """Weight of the KL penalty; above 0, or the KL is not measured."""
    draws: int = 500
    """Bootstrap resamples."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Deps:
    """What the study works with.

    Attributes:
        policy: the start, which is sampled.
        prompts: asked.
        proxy: what is optimised.
        held_out: scorers by name that reward nothing.
        train: trains against the proxy and gives every step's samples; None leaves RL out.
        progress: told how far sampling and reading are.
    """

    policy: Model
    prompts: Sequence[Prompt]
    proxy: Scorer
    held_out: Mapping[str, Scorer]
    train: Callable[[Scorer], list[Visit]] | None = None
    progress: Progress = silent


class Overoptimisation(Record, frozen=True):
    """What was found.

    Attributes:
        mode: on models, or on a gold reward whose curve is known.
        proxy: identity of what was optimised.
        held_out: identities of what measured, by name.
        curves: every scorer along every path.
        prompts: that count, and `left_out`, those with fewer than half of their answers read.
        samples: answers in the pool, and `unscored`, those without a reading, by scorer.
        rl_unscored: samples of RL without a reading, or without a step's KL, by scorer.
        truths: the planted curves of the synthetic mode.
    """

    mode: Literal["models", "synthetic"]
    proxy: str
    held_out: dict[str, str]
    curves: list[Curve]
    prompts: int
    left_out: int
    samples: int
    unscored: dict[str, int]
    rl_unscored: dict[str, int] = {}
    truths: list[Truth] = []


def run(settings: Settings, *, deps: Deps) -> Overoptimisation:
    """Sample, train, read, and fit.

    Raises:
        InputError: the proxy is among the scorers that measure, or there are no prompts.
        TrainingError: the scorers could read next to nothing.
    """
    _check(deps)
    texts = draw(
        deps.policy,
        deps.prompts,
        settings.samples,
        settings.sampling,
        seed=settings.seed,
        progress=deps.progress,
    )
    scorers = {PROXY: deps.proxy, **deps.held_out}
    pool = fill(deps.prompts, texts, scorers, progress=deps.progress)
    scales = {name: _scale(score_PN) for name, score_PN in pool.readings.items()}
    curves, kept = _best_of_n(pool, scales, settings)
    missing: dict[str, int] = {}
    if deps.train is not None and settings.rl_steps:
        visits = deps.train(deps.proxy)
        along, missing = _along_rl(visits, pool, scorers, scales, settings, deps.progress)
        curves += along
    return Overoptimisation(
        "models",
        deps.proxy.identity,
        {name: scorer.identity for name, scorer in deps.held_out.items()},
        curves,
        kept,
        len(pool.prompts) - kept,
        len(pool.exchanges),
        pool.unscored(),
        missing,
    )


def run_synthetic(settings: Settings) -> Overoptimisation:
    """The same curves for a gold reward whose true curves are known; no model is loaded."""
    seeds = [derive(settings.seed, STUDY, form) for form in ("best-of-n", "rl")]
    drawn = best_of_n_pool(200, 256, alpha=1.0, beta=0.3, noise=0.5, seed=seeds[0])
    pool = Pool((), (), {PROXY: drawn.proxy_PN, GOLD: drawn.gold_PN})
    # The planted curves have a scale of their own.
    scales = {PROXY: 1.0, GOLD: 1.0}
    curves, kept = _best_of_n(pool, scales, settings)
    steps = rl_path(24, 40, 200, alpha=1.0, beta=0.45, farthest=6.0, noise=0.5, seed=seeds[1])
    for name in (PROXY, GOLD):
        curves.append(_of_drawn(name, steps, settings))
    return Overoptimisation(
        "synthetic",
        "x ~ N(0, 1)",
        {GOLD: "a known function of x, and noise"},
        curves,
        kept,
        0,
        drawn.gold_PN.size,
        pool.unscored(),
        truths=[drawn.truth, steps[0].truth],
    )


def _check(deps: Deps) -> None:
    if not deps.prompts:
        raise InputError("there are no prompts to answer", field="prompts")
    for name, scorer in deps.held_out.items():
        if scorer.identity == deps.proxy.identity:
            raise InputError(
                f"{scorer.identity!r} is the proxy and measures as {name!r}",
                expected="held-out scorers that reward nothing",
            )


def _best_of_n(
    pool: Pool, scales: Mapping[str, float], settings: Settings
) -> tuple[list[Curve], int]:
    """Curves of all scorers over n, and how many prompts count."""
    known_PN, kept_P = usable_prompts(*pool.readings.values())
    if not kept_P.any():
        raise TrainingError("no prompt has two answers that every scorer can read")
    rows = np.flatnonzero(kept_P)
    ns = grid(int(known_PN[rows].sum(1).min()))
    kl_K = np.array([best_of_n_kl(n) for n in ns])
    proxy_PN, curves = pool.readings[PROXY], []
    for name, score_PN in pool.readings.items():
        found_PK = np.array(
            [best_of_n_scores(proxy_PN[p][known_PN[p]], score_PN[p][known_PN[p]], ns) for p in rows]
        )
        path = Path("best-of-n", ns, kl_K, found_PK / scales[name], np.ones_like(found_PK))
        seed = derive(settings.seed, STUDY, name, "best-of-n")
        curves.append(trace(name, path, seed=seed, draws=settings.draws))
    return curves, len(rows)


def _along_rl(
    visits: Sequence[Visit],
    pool: Pool,
    scorers: Mapping[str, Scorer],
    scales: Mapping[str, float],
    settings: Settings,
    progress: Progress,
) -> tuple[list[Curve], dict[str, int]]:
    """Curves of all scorers over the steps; the pool stands for the start policy."""
    asked = {prompt.id: row for row, prompt in enumerate(pool.prompts)}
    measured = [visit for visit in visits if visit.kl is not None and visit.prompt in asked]
    steps = sorted({visit.step for visit in measured})
    kl = {visit.step: visit.kl or 0.0 for visit in measured}
    kl_K = np.array([0.0, *(kl[step] for step in steps)])
    exchanges = [(pool.prompts[asked[v.prompt]], v.text) for v in measured]
    curves, missing = [], {}
    for name, scorer in scorers.items():
        found = read(scorer, exchanges, name=f"rl {name}", progress=progress)
        missing[name] = int(np.isnan(found).sum()) + len(visits) - len(measured)
        places = [(asked[v.prompt], 1 + steps.index(v.step)) for v in measured]
        sums_PK, counts_PK = _gathered(pool.readings[name], places, found, len(kl_K))
        read_K = counts_PK.sum(0) > 0
        path = Path(
            "rl",
            np.array([0, *steps])[read_K].tolist(),
            kl_K[read_K],
            sums_PK[:, read_K] / scales[name],
            counts_PK[:, read_K],
        )
        seed = derive(settings.seed, STUDY, name, "rl")
        curves.append(trace(name, path, seed=seed, draws=settings.draws))
    return curves, missing


def _gathered(
    start_PN: np.ndarray, places: Sequence[tuple[int, int]], found: np.ndarray, points: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sums and counts [P, K] of what could be read: the pool at the start, then the steps."""
    sums_PK = np.zeros((len(start_PN), points))
    counts_PK = np.zeros_like(sums_PK)
    sums_PK[:, 0], counts_PK[:, 0] = np.nansum(start_PN, 1), np.isfinite(start_PN).sum(1)
    for place, value in zip(places, found, strict=True):
        if np.isfinite(value):
            sums_PK[place] += value
            counts_PK[place] += 1
    return sums_PK, counts_PK


def _of_drawn(name: str, steps: Sequence[Drawn], settings: Settings) -> Curve:
    values_KPN = np.stack([s.proxy_PN if name == PROXY else s.gold_PN for s in steps])
    sums_PK = values_KPN.sum(2).T
    path = Path(
        "rl",
        range(len(steps)),
        np.array([step.kl for step in steps]),
        sums_PK,
        np.full(sums_PK.shape, float(values_KPN.shape[2])),
    )
    return trace(name, path, seed=derive(settings.seed, STUDY, name, "rl"), draws=settings.draws)


def _scale(start_PN: np.ndarray) -> float:
    """Spread of the start policy's scores within prompts; gains are told in units of it."""
    return float(np.sqrt(np.nanmean(np.nanvar(start_PN, axis=1)))) or 1.0
