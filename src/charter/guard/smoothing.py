"""From a score for each token to one for the text so far. Plain numbers, no model.

    mean   running mean of the logits (a readout that was fitted on mean activations)
    ema    exponential moving average, one number of state (the probe of arXiv 2601.04603)
    none   the logits themselves (the 2025 recipe: a value at every token)

Each begins at a prior, as if tokens of an ordinary text had come before, so that the first words
cannot raise an alarm by themselves. The score of a text is the highest value so far: it never
falls, and it does not depend on the portions in which the text came.

Shape suffix: T tokens.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.signal import lfilter

from charter.records import Record

Kind = Literal["mean", "ema", "none"]


class Smoothing(Record, frozen=True):
    """How token logits become the logit of a text."""

    kind: Kind = "mean"
    span: int = 16
    """Tokens that an EMA looks back over, or that the prior of a mean stands for."""
    prior: float = 0.0
    """Logit to begin with: that of ordinary text."""

    @property
    def factor(self) -> float:
        """Weight of the newest token in the EMA."""
        return 2 / (self.span + 1)

    def along(self, logits_T: np.ndarray) -> np.ndarray:
        """The smoothed logit after each token [T]."""
        logits_T = np.asarray(logits_T, dtype=np.float64)
        if self.kind == "none":
            return logits_T
        if self.kind == "mean":
            seen_T = np.arange(1, len(logits_T) + 1)
            total_T = np.cumsum(logits_T) + self.span * self.prior
            return np.asarray(total_T / (seen_T + self.span))
        a = self.factor
        smooth_T, _ = lfilter([a], [1, a - 1], logits_T, zi=[(1 - a) * self.prior])
        return np.asarray(smooth_T)

    def peak(self, logits_T: np.ndarray) -> float:
        """The highest value along the text; the prior for a text without tokens."""
        return float(self.along(logits_T).max()) if len(logits_T) else self.prior

    def step(self, state: float, logit: float) -> float:
        """The EMA after one more token: all that a stream has to remember is `state`."""
        assert self.kind == "ema", self.kind
        return state + self.factor * (logit - state)
