"""Does the shipped readout judge's verdict move with the principle? Agreement with people under a
comparison question and under its opposite.

    python tools/measure_principles.py --data DIR [--cache DIR]

Nothing that a figure is of was trained on: pairs are those that `train_readouts.py` keeps apart,
and a question is read by a fit that saw neither it nor its opposite. People's preference stands
for the question; a judge that does not read questions agrees as often under both. Intervals are
percentile bootstraps over prompts; a tie counts one half.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from train_readouts import AXES, Source, divided

from charter.judging.questions import Table, fit_questions, shipped_questions
from charter.judging.readout_training import Pairs, fit_axis
from charter.seeds import derive

_DRAWS = 2000


def contrast(wins_NQ: np.ndarray, prompts: list[str]) -> dict[str, float | int]:
    """Agreement under questions for (the first half of the columns) and against, and their gap."""
    half = wins_NQ.shape[1] // 2
    towards_N, against_N = wins_NQ[:, :half].mean(1), wins_NQ[:, half:].mean(1)
    _, group_N = np.unique(prompts, return_inverse=True)
    size_G = np.bincount(group_N)
    total_G = np.bincount(group_N, weights=towards_N - against_N)
    drawn = np.random.default_rng(derive("principles")).integers(
        0, len(size_G), (_DRAWS, len(size_G))
    )
    low, high = np.quantile(total_G[drawn].sum(1) / size_G[drawn].sum(1), [0.025, 0.975])
    return {
        "agreement_for": float(towards_N.mean()),
        "agreement_against": float(against_N.mean()),
        "apart": float((towards_N - against_N).mean()),
        "low": float(low),
        "high": float(high),
        "n": len(wins_NQ),
        "prompts": len(size_G),
        "questions": half,
    }


def wins(test: Pairs, axes_KF: np.ndarray, asked_QK: np.ndarray) -> np.ndarray:
    """Whether the verdict is on people's side, [N, Q]."""
    gaps_NK = (test.features[:, 0] - test.features[:, 1]) @ axes_KF.T
    logits_NQ = gaps_NK @ asked_QK.T
    return np.asarray((logits_NQ > 0) + 0.5 * (logits_NQ == 0))


def rows_of(table: Table) -> dict[str, slice]:
    """Where the questions of each axis stand."""
    found, start = {}, 0
    for axis, ways in table.items():
        end = start + len(ways.towards) + len(ways.against)
        found[axis], start = slice(start, end), end
    return found


def main() -> None:
    """Measure and print, one JSON object an axis."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/features"))
    options = parser.parse_args()
    source, table = Source(options.data, options.cache), shipped_questions()
    helpful, _ = divided(source.hh("helpful", "train"))
    axes_KF = np.stack([fit_axis(source.hh("harmless", "train")), fit_axis(helpful)])
    asked = fit_questions(source.reader, table, AXES)
    for axis, rows in rows_of(table).items():
        test = source.hh(axis, "valid")
        found = contrast(wins(test, axes_KF, asked.held_out_QK[rows]), test.prompts)
        print(json.dumps({"axis": axis, **found}), flush=True)


if __name__ == "__main__":
    main()
