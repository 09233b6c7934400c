from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from charter.statistics.multiple import benjamini_hochberg, family, holm

LISTS = [[0.01, 0.04, 0.03, 0.005], [0.2], [0.5, 0.5, 0.001, 0.001, 1.0, 0.0]]


@pytest.mark.parametrize("values", [*LISTS, list(np.random.default_rng(0).random(40) ** 3)])
def test_adjustments_agree_with_statsmodels(values: list[float]) -> None:
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1])
    assert benjamini_hochberg(values) == pytest.approx(multipletests(values, method="fdr_bh")[1])


def test_no_comparisons_are_no_findings() -> None:
    found = family([])
    assert (found.n, found.holm, found.benjamini_hochberg) == (0, (), ())


def test_the_note_counts_what_is_left() -> None:
    found = family([0.001, 0.02, 0.03, 0.04, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
    assert found.note == (
        "10 comparisons at the 0.05 level: 4 under it unadjusted, where about 0.5 would be by "
        "chance alone; 1 after Holm's adjustment, 1 after Benjamini and Hochberg's."
    )
    assert found.p[1] == 0.02 and found.holm[1] == pytest.approx(0.18)


def test_false_findings_are_held_to_the_level() -> None:
    """Ten true nulls: any false alarm in 5 % of worlds, not in 40 %. Fifteen true effects beside
    them: on average 5 % false findings among all, times the share of nulls."""
    source = np.random.default_rng(1)
    nulls = source.random((2000, 10))
    any_alarm = np.mean([holm(row).min() <= 0.05 for row in nulls])
    assert 0.035 < any_alarm < 0.065
    assert (nulls.min(1) <= 0.05).mean() > 0.35
    mixed = np.concatenate([nulls, source.random((2000, 15)) * 1e-4], axis=1)
    found = np.stack([benjamini_hochberg(row) for row in mixed]) <= 0.05
    false_share = (found[:, :10].sum(1) / np.maximum(1, found.sum(1))).mean()
    assert false_share == pytest.approx(0.05 * 10 / 25, abs=0.005)


def test_a_value_that_is_no_probability_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        holm([0.1, float("nan")])
