"""A pool of answers: many samples of the start policy to each prompt, read by several scorers.

Owns sampling and reading, and turning an answer that a scorer has nothing to say of into a nan that
is counted. Knows no study.

Shape suffixes: P prompts, N samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charter.engine.local import Progress, chunks, silent
from charter.records import Model, Prompt, Request, Sampling, Scorer
from charter.seeds import derive

_AT_ONCE = 96
"""Answers sampled, and read, between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Answers [P][N] to prompts, and readings [P, N] by scorer, nan where there is none."""

    prompts: tuple[Prompt, ...]
    texts: tuple[tuple[str, ...], ...]
    readings: dict[str, np.ndarray]

    @property
    def exchanges(self) -> list[tuple[Prompt, str]]:
        """Every prompt with every answer, prompt by prompt."""
        return [(p, t) for p, texts in zip(self.prompts, self.texts, strict=True) for t in texts]

    def unscored(self) -> dict[str, int]:
        """Answers that each scorer had no reading of."""
        return {name: int(np.isnan(found).sum()) for name, found in self.readings.items()}


def draw(
    policy: Model,
    prompts: Sequence[Prompt],
    samples: int,
    sampling: Sampling,
    *,
    seed: int,
    name: str = "samples",
    progress: Progress = silent,
) -> tuple[tuple[str, ...], ...]:
    """Sample answers [P][N]; the randomness of each depends on its prompt and number alone."""
    requests = [
        Request(p.messages, sampling, derive(seed, "pool", p.id, number))
        for p in prompts
        for number in range(samples)
    ]
    found: list[str] = []
    for part in chunks(requests, _AT_ONCE):
        found += [made.text for made in policy.generate(part)]
        progress(name, len(found), len(requests))
    return tuple(tuple(found[start : start + samples]) for start in range(0, len(found), samples))


def read(
    scorer: Scorer,
    exchanges: Sequence[tuple[Prompt, str]],
    *,
    name: str = "readings",
    progress: Progress = silent,
) -> np.ndarray:
    """Readings of a scorer, one an exchange; nan where it has none."""
    found: list[float] = []
    for part in chunks(exchanges, _AT_ONCE):
        found += [np.nan if s.value is None else float(s.value) for s in scorer.score(part)]
        progress(name, len(found), len(exchanges))
    return np.array(found)


def fill(
    prompts: Sequence[Prompt],
    texts: tuple[tuple[str, ...], ...],
    scorers: Mapping[str, Scorer],
    *,
    progress: Progress = silent,
) -> Pool:
    """A pool with the readings of every scorer."""
    bare = Pool(tuple(prompts), texts, {})
    shape = (len(texts), len(texts[0]))
    readings = {
        name: read(scorer, bare.exchanges, name=name, progress=progress).reshape(shape)
        for name, scorer in scorers.items()
    }
    return Pool(bare.prompts, texts, readings)
