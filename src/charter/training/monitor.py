"""Watches a policy while it learns from a reward, and says when the reward is being gamed.

Owns one row of figures a step: what the reward pays, what a held-out scorer says, how far the
policy has gone, and how it writes. The scorer and the refusal detector are callables that come in;
they pay nothing. A figure that nobody could measure is null, never 0.

A step has two halves: its samples are read before the policy learns from them, and the optimiser's
own figures (KL, entropy) are known after. The weights worth keeping are those that were sampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from charter.records import Message, Record
from charter.statistics import Rate, wilson
from charter.statistics.gao import GaoFit, fit_gao
from charter.statistics.rate import Z95
from charter.training.peak import Peak
from charter.training.phrases import Repetition, repetition
from charter.training.rewards import Reward
from charter.training.rl_settings import MonitorSettings

Conversations = list[tuple[Message, ...]]
Readings = Sequence[float | None]


class MonitorRow(Record, frozen=True):
    """One step, as written to `monitor.jsonl`. Intervals are 95 %.

    Attributes:
        step: numbered as in the loss curve.
        reward: mean of what was paid (the proxy), and `left_out`, samples without a reward.
        held_out: mean of the held-out scorer's readings, and those it had none for.
        agreement: how often the two order a pair of answers alike, ties one half. Its fall over
            the steps is the drift of the judges.
        kl: divergence from the start policy in nats, of a whole answer.
        entropy: of the policy, in nats a token.
        tokens: mean length of an answer.
        refusal: share of answers that decline.
        repetition: how alike the answers are.
        proxy_fit: Gao's curve of the reward so far.
        held_out_fit: the same of the held-out score.
        past_peak: the held-out score has peaked.
    """

    step: int
    reward: Rate | None
    left_out: int
    held_out: Rate | None
    held_out_unscored: int
    agreement: Rate | None
    kl: float | None
    entropy: float | None
    tokens: float | None
    refusal: Rate | None
    repetition: Repetition
    proxy_fit: GaoFit | None
    held_out_fit: GaoFit | None
    past_peak: bool


class Monitor:
    """Follows one training.

    Args:
        settings: see `MonitorSettings`.
        held_out: reads answers and pays nothing; it must not be the reward.
        refusal: whether an answer declines. It is only shown, and decides nothing.
        write: called with each row when it is complete.
    """

    def __init__(
        self,
        settings: MonitorSettings,
        *,
        held_out: Reward | None = None,
        refusal: Callable[[str], bool] | None = None,
        write: Callable[[MonitorRow], None] | None = None,
    ) -> None:
        self.settings, self.held_out, self.refusal, self.write = settings, held_out, refusal, write
        self.peak = Peak(settings.window, settings.z)
        self.rows: list[MonitorRow] = []
        self._open: dict[str, Any] | None = None
        self._curves = (_Curve(), _Curve())

    @property
    def at_best(self) -> bool:
        """Whether the policy sampled last is the best one so far, by the held-out score."""
        return self.peak.at_best

    @property
    def stop(self) -> bool:
        """Whether training should stop, and go back to the weights of the peak."""
        return self.settings.stop and self.peak.past

    def read(
        self,
        step: int,
        conversations: Conversations,
        answers: list[str],
        rewards: Readings,
        *,
        earlier: Readings | None = None,
    ) -> list[dict[str, float | None]]:
        """Read one step's samples; returns what was read of each, for the record.

        A run that goes on after a kill gives the `earlier` readings, so that none is paid twice.
        """
        due = self.held_out is not None and (step - 1) % self.settings.every == 0
        seen: Readings = [None] * len(answers)
        if due and earlier is not None:
            seen = earlier
        elif due and self.held_out is not None:
            seen = self.held_out(conversations, answers)
        known = [value for value in seen if value is not None]
        self.peak.add(step, known)
        self._open = {
            "step": step,
            "reward": mean_rate([r for r in rewards if r is not None]),
            "left_out": sum(r is None for r in rewards),
            "held_out": mean_rate(known),
            "held_out_unscored": len(seen) - len(known) if due else 0,
            "agreement": agreement(conversations, rewards, seen) if due else None,
            "refusal": self._refusals(answers),
            "repetition": repetition(answers, most=self.settings.phrases),
            "past_peak": self.peak.past,
        }
        return [{"held_out": value} if due else {} for value in seen]

    def close(self, step: int, figures: Mapping[str, float | None]) -> None:
        """Complete a step's row with `kl`, `entropy` and `tokens`, as far as they are known."""
        if self._open is None or self._open["step"] != step:
            return
        kl = figures.get("kl")
        for curve, name in zip(self._curves, ("reward", "held_out"), strict=True):
            curve.add(kl, self._open[name])
        row = MonitorRow(
            **self._open,
            kl=kl,
            entropy=figures.get("entropy"),
            tokens=figures.get("tokens"),
            proxy_fit=self._curves[0].fit(),
            held_out_fit=self._curves[1].fit(),
        )
        self._open = None
        self.rows.append(row)
        if self.write is not None:
            self.write(row)

    def notes(self) -> dict[str, Any]:
        """What the manifest says: how it ended, where the peak was, the last curves."""
        best, last = self.peak.best, self.rows[-1] if self.rows else None
        return {
            "steps": len(self.rows),
            "stopped": self.stop,
            "kept": "peak" if self.stop else "last",
            "peak_step": best.step if best else None,
            "peak_held_out": best.mean if best else None,
            "proxy_fit": last.proxy_fit if last else None,
            "held_out_fit": last.held_out_fit if last else None,
            "agreement_drift": _drift([row.agreement for row in self.rows], self.settings.window),
        }

    def _refusals(self, answers: Sequence[str]) -> Rate | None:
        full = [answer for answer in answers if answer.strip()]
        if self.refusal is None or not full:
            return None
        return wilson(sum(map(self.refusal, full)), len(full))


class _Curve:
    """Points of one of Gao's curves, relative to the first step, where the policy is the start."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._points: list[tuple[float, float]] = []

    def add(self, kl: float | None, score: Rate | None) -> None:
        if kl is None or score is None:
            return
        if self._start is None:
            self._start = score.value
        # An estimate of a small KL from samples may come out below 0.
        self._points.append((math.sqrt(max(kl, 0.0)), score.value - self._start))

    def fit(self) -> GaoFit | None:
        distances, scores = [d for d, _ in self._points], [s for _, s in self._points]
        return fit_gao(distances, scores, "rl")


def mean_rate(values: Sequence[float]) -> Rate | None:
    """Mean with its normal interval; None of nothing, and no interval of a single value."""
    n = len(values)
    if not n:
        return None
    mean = sum(values) / n
    spread = sum((v - mean) ** 2 for v in values) / (n - 1) if n > 1 else 0.0
    half = Z95 * math.sqrt(spread / n)
    return Rate(mean, mean - half, mean + half, n)


def agreement(conversations: Conversations, one: Readings, other: Readings) -> Rate | None:
    """How often two scorers order two answers to one conversation alike, ties one half.

    Where no conversation has two answers, any two answers are compared.
    """
    known = [
        (talk, a, b)
        for talk, a, b in zip(conversations, one, other, strict=True)
        if a is not None and b is not None
    ]
    pairs = list(combinations(known, 2))
    within = [pair for pair in pairs if pair[0][0] == pair[1][0]] or pairs
    if not within:
        return None
    signs = [_sign(x[1] - y[1]) * _sign(x[2] - y[2]) for x, y in within]
    return wilson(sum((1 + sign) / 2 for sign in signs), len(signs))


def _sign(x: float) -> int:
    return (x > 0) - (x < 0)


def _drift(rates: Sequence[Rate | None], window: int) -> float | None:
    """Agreement of the last readings less that of the first ones."""
    known = [rate.value for rate in rates if rate is not None]
    if len(known) < 2 * window:
        return None
    return (sum(known[-window:]) - sum(known[:window])) / window
