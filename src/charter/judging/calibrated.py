"""A judge whose probabilities have been fitted to labelled pairs, and the record of that fit.

Owns the one place where a calibration is applied, and its file. A reading p becomes
sigmoid(slope * logit(p) + bias): `temperature` fits the slope alone (Guo et al. 2017), `platt` both
(Platt 1999). The fit sees every pair in both orders, so the bias can only be a taste for a place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec.structs import replace

from charter.errors import DataError, InputError
from charter.judging.answerwise import sigmoid
from charter.judging.calibration import fit_platt, fit_temperature, reliability
from charter.judging.labeling import aggregate, label, unswap
from charter.judging.pairs import LabelledPair
from charter.judging.reading import Outcome, Reading, plain, readings
from charter.records import Abstention, Comparison, Judge, PrincipleVote, Record, Verdict, digest
from charter.seeds import derive
from charter.store import write_atomic

FILE = "calibration.json"
"""Name of a calibration that lies beside a readout."""
Method = Literal["temperature", "platt"]
_EPSILON, _FOLDS = 1e-6, 5


class Calibration(Record, frozen=True):
    """A fit, and what it is worth.

    Attributes:
        judge: identity of the judge it was fitted to, and holds for.
        method: what was fitted.
        slope: multiplies the log-odds; 1 / temperature.
        bias: added to the log-odds of the answer that is presented first.
        pairs: labelled pairs it was fitted on.
        unscored: pairs that the judge abstained from.
        before: `calibration.reliability` of the judge's verdicts.
        after: the same after calibration, each fifth of the pairs with a fit on the others.
    """

    judge: str
    method: Method
    slope: float
    bias: float
    pairs: int
    unscored: int
    before: dict[str, Any]
    after: dict[str, Any]

    def apply(self, p: float) -> float:
        """A calibrated reading."""
        return _apply(p, self.slope, self.bias)

    @property
    def bins(self) -> list[dict[str, Any]]:
        """Reliability bins after calibration."""
        return list(self.after.get("calibration", []))

    def save(self, file: Path) -> None:
        """Write it as JSON."""
        write_atomic(file, msgspec.json.format(msgspec.json.encode(self)))


class CalibratedJudge:
    """Satisfies `judging.reading.DetailedJudge`: another judge, with calibrated probabilities."""

    def __init__(self, judge: Judge, calibration: Calibration) -> None:
        self.judge, self.calibration = judge, calibration

    @property
    def identity(self) -> str:
        """The judge's, with the fit in front: its digest stays last, where it is looked for."""
        fit = digest([self.calibration.slope, self.calibration.bias], length=8)
        return f"calibrated-{fit}/{self.judge.identity}"

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        """See `records.Judge`."""
        return plain(self.read(comparisons, principles))

    def read(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[Outcome]]:
        """The judge's readings, calibrated; what members of a panel said stays as it was."""
        return [
            [
                replace(r, p=self.calibration.apply(r.p)) if isinstance(r, Reading) else r
                for r in row
            ]
            for row in readings(self.judge, comparisons, principles)
        ]


def calibrate(
    judge: Judge,
    pairs: Sequence[LabelledPair],
    principles: Sequence[tuple[str, float]],
    *,
    method: Method = "temperature",
) -> Calibration:
    """Fit a judge's probabilities to labelled pairs.

    Args:
        judge: asked about every pair in both orders under all of the principles.
        pairs: what people said.
        principles: (id, weight) pairs.
        method: `temperature`, or `platt` for a judge that favours a place.

    Raises:
        InputError: fewer than two pairs a fold were judged.
    """
    labels = label(judge, [p.comparison for p in pairs], [list(principles)] * len(pairs))
    judged = [(p, found) for p, found in zip(pairs, labels, strict=True) if _is_verdict(found)]
    if len(judged) < 2 * _FOLDS:
        problem = f"{len(judged)} of {len(pairs)} pairs were judged"
        raise InputError(problem, field="pairs", expected=f"at least {2 * _FOLDS}")
    votes = [list(found.votes) for _, found in judged if isinstance(found, Verdict)]
    targets = [p.p_a for p, _ in judged]
    # By prompt, so that a fit is never measured on a prompt that it has seen.
    folds = [derive("fold", p.comparison.prompt.id) % _FOLDS for p, _ in judged]
    slope, bias = _fit(votes, targets, method)
    return Calibration(
        judge.identity,
        method,
        slope,
        bias,
        len(judged),
        len(pairs) - len(judged),
        reliability([aggregate(v) for v in votes], targets),
        reliability(_cross_fitted(votes, targets, folds, method), targets),
    )


def load_calibration(file: str | Path, judge: str) -> Calibration:
    """Read a calibration that was saved.

    Args:
        file: where.
        judge: identity of the judge it is meant for.

    Raises:
        DataError: it cannot be read, or was fitted to another judge.
    """
    try:
        found = msgspec.json.decode(Path(file).read_bytes(), type=Calibration)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"no calibration: {error}", file=file) from error
    if found.judge != judge:
        problem = f"was fitted to {found.judge}, not to {judge}"
        raise DataError(problem, file=file, field="judge", expected="the judge it was fitted to")
    return found


def _is_verdict(found: object) -> bool:
    return isinstance(found, Verdict)


def _apply(p: float, slope: float, bias: float) -> float:
    clipped = min(1 - _EPSILON, max(_EPSILON, p))
    return sigmoid(slope * math.log(clipped / (1 - clipped)) + bias)


def _fit(
    votes: Sequence[Sequence[PrincipleVote]], targets: Sequence[float], method: Method
) -> tuple[float, float]:
    """Slope and bias for readings as presented, from votes that have been un-swapped."""
    presented, wanted = [], []
    for row, target in zip(votes, targets, strict=True):
        for vote in row:
            presented += [vote.p_as_given, unswap(vote.p_swapped)]
            wanted += [target, 1.0 - target]
    p = np.clip(np.asarray(presented), _EPSILON, 1 - _EPSILON)
    logits = np.log(p / (1 - p)).tolist()
    if method == "platt":
        return fit_platt(logits, wanted)
    return 1.0 / fit_temperature(logits, wanted), 0.0


def _cross_fitted(
    votes: Sequence[list[PrincipleVote]],
    targets: Sequence[float],
    folds: Sequence[int],
    method: Method,
) -> list[float]:
    """Calibrated P(A better) of every pair, by a fit on the other folds."""
    fits = {}
    for fold in set(folds):
        kept = [i for i, other in enumerate(folds) if other != fold]
        rest = kept or range(len(folds))  # one prompt alone: nothing to hold out
        fits[fold] = _fit([votes[i] for i in rest], [targets[i] for i in rest], method)
    return [
        aggregate([_calibrated(vote, *fits[fold]) for vote in row])
        for row, fold in zip(votes, folds, strict=True)
    ]


def _calibrated(vote: PrincipleVote, slope: float, bias: float) -> PrincipleVote:
    swapped = unswap(_apply(unswap(vote.p_swapped), slope, bias))
    return replace(vote, p_as_given=_apply(vote.p_as_given, slope, bias), p_swapped=swapped)
