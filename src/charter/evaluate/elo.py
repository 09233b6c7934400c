"""Elo of the models of one evaluation, from their scores on the same prompts.

Owns how scores become wins: on each prompt P(i beats j) = σ(s_i - s_j). The fit to the wins is
`statistics.elo`'s business.

Shape suffixes: M models, P prompts.
"""

from __future__ import annotations

import numpy as np

from charter.evaluate.config import EvaluateConfig
from charter.evaluate.table import ScoreTable
from charter.records import Measurement
from charter.seeds import derive
from charter.statistics.elo import elo


def elos(
    table: ScoreTable, metric: str, scores_MP: np.ndarray, config: EvaluateConfig, seed: int
) -> list[Measurement]:
    """Elo from soft wins; nothing if no two models were scored on one prompt.

    Args:
        table: names the models.
        metric: name of the figure.
        scores_MP: in log-odds, higher is better, nan is unscored.
        config: the reference model, whose Elo is 0, and the number of draws.
        seed: of the run.
    """
    wins_PMM = soft_wins(scores_MP)
    if not wins_PMM.any():
        return []
    figures = elo(
        wins_PMM,
        table.models,
        config.reference,
        seed=derive(seed, "evaluate", metric),
        draws=config.bootstrap_draws,
    )
    unscored_M = np.isnan(scores_MP).sum(1)
    found = zip(table.models, (figures.players[m] for m in table.models), unscored_M, strict=True)
    return [
        Measurement(model, metric, rate.value, rate.low, rate.high, rate.n, int(unscored))
        for model, rate, unscored in found
    ]


def soft_wins(scores_MP: np.ndarray) -> np.ndarray:
    """P(i beats j) = sigmoid(score i - score j), as [P, M, M]; 0 where one has no score."""
    scores_PM = scores_MP.T
    gap_PMM = scores_PM[:, :, None] - scores_PM[:, None, :]
    wins_PMM = np.nan_to_num(0.5 * (1 + np.tanh(gap_PMM / 2)), nan=0.0)
    return np.asarray(wins_PMM * (1 - np.eye(len(scores_MP))))


def spread(scores_MP: np.ndarray) -> float:
    """Standard deviation of the differences over all pairs of models, either way round, by prompt.

    Taken both ways round the differences have mean 0, whatever the order of the models. 1 if all
    are equal, or if there is no pair.
    """
    gaps = (scores_MP[:, None] - scores_MP[None, :])[~np.eye(len(scores_MP), dtype=bool)]
    known = gaps[~np.isnan(gaps)]
    return float(known.std()) if len(known) and known.any() else 1.0
