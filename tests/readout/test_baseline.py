"""The bag of words: finds words that decide, knows nothing of the rest, and peeks at nothing."""

from __future__ import annotations

import numpy as np
import pytest

from charter.readout.baseline import (
    crossed_pairs,
    fold_of,
    label_auroc,
    pair_agreement,
    pair_gaps,
)

FILLER = ["apple", "river", "stone", "cloud"]
PAIRS = [(f"please {FILLER[i % 4]}", f"never {FILLER[(i + 1) % 4]}") for i in range(60)]


def test_deciding_words_are_found() -> None:
    assert pair_agreement(PAIRS[:40], PAIRS[40:]) == 1.0
    swapped = [(b, a) for a, b in PAIRS[40:]]
    assert pair_agreement(PAIRS[:40], swapped) == 0.0


def test_gaps_turn_round_with_the_pair() -> None:
    swapped = [(b, a) for a, b in PAIRS[40:]]
    gaps = pair_gaps(PAIRS[:40], PAIRS[40:])
    assert gaps == pytest.approx(-pair_gaps(PAIRS[:40], swapped))


def test_without_words_nothing_is_known() -> None:
    assert pair_gaps([("?", "!")] * 5, PAIRS[:3]).tolist() == [0.0] * 3


def test_a_group_stays_in_one_fold() -> None:
    groups = [f"prompt {i // 3}" for i in range(90)]
    folds = fold_of(groups, 5)
    assert set(folds.tolist()) == set(range(5))
    assert all(len(set(folds[i : i + 3].tolist())) == 1 for i in range(0, 90, 3))


def test_a_pair_is_never_judged_by_a_fit_that_saw_its_prompt() -> None:
    # Each pair's words occur in it alone: whoever looks at it knows the answer, nobody else can.
    own = [(f"w{i} w{i} w{i}", f"v{i} v{i} v{i}") for i in range(60)]
    assert not crossed_pairs(own, [str(i) for i in range(60)]).any()
    assert (crossed_pairs(PAIRS, [str(i) for i in range(60)]) > 0).all()


def test_labels() -> None:
    texts = [pair[i % 2] for i, pair in enumerate(PAIRS)]
    labels = np.array([1 - i % 2 for i in range(60)])
    assert label_auroc(texts[:40], labels[:40], texts[40:], labels[40:]) == 1.0
