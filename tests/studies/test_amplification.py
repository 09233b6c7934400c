"""The loop of a critic with a planted bias, where its answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from charter.studies.amplification import (
    REMEDIES,
    Remedy,
    World,
    best_of_n_shares,
    bias_of,
    iterate,
    scaled,
)
from charter.studies.miscalibration import Settings, arms

NONE, FIXED, ENSEMBLE, CALIBRATED, FEW, MANY = REMEDIES


def world(prompts: int = 12, samples: int = 16) -> World:
    """Base score and trait are independent, and a critic can see both."""
    source = np.random.default_rng(0)
    base, trait = source.normal(size=(2, prompts, samples))
    noise = source.normal(size=(prompts, samples, 6))
    features = np.concatenate([base[..., None], trait[..., None], noise], -1)
    return World(base, trait, features, base + 0.5 * source.normal(size=(2, *base.shape)))


@pytest.mark.parametrize("dose", [0.0, 0.5, 2.0])
def test_the_bias_of_the_first_round_is_the_dose(dose: float) -> None:
    critic, _ = iterate(world(), dose, NONE, rounds=1, best_of=4)
    assert critic[0] == pytest.approx(dose, abs=1e-9)


def test_a_fixed_critic_keeps_its_bias_and_moves_the_policy_further() -> None:
    critic, trait = iterate(world(), 1.0, FIXED, rounds=3, best_of=4)
    assert critic == pytest.approx([1.0, 1.0, 1.0])
    assert 0 < trait[0] < trait[1] < trait[2]


def test_without_a_bias_the_policy_does_not_drift_towards_the_trait() -> None:
    _, trait = iterate(world(prompts=200), 0.0, FIXED, rounds=3, best_of=4)
    assert np.abs(trait).max() < 0.15


def test_a_larger_dose_leaves_a_larger_bias() -> None:
    ends = [iterate(world(), dose, NONE, rounds=3, best_of=4)[1][-1] for dose in (0.0, 0.5, 2.0)]
    assert ends[0] < ends[1] < ends[2]


def test_remedies_take_off_what_they_can() -> None:
    first = {
        remedy.name: iterate(world(), 1.0, remedy, rounds=1, best_of=4)[0][0] for remedy in REMEDIES
    }
    assert abs(first[CALIBRATED.name]) < 1e-9
    assert 0.2 < first[ENSEMBLE.name] < 0.5
    assert first[MANY.name] < first[FEW.name] < first[NONE.name] == pytest.approx(1.0)


def test_a_critic_that_cannot_see_the_trait_forgets_it() -> None:
    seen = world()
    blind = World(seen.base_PN, seen.trait_PN, seen.features_PND[..., :1], seen.others_MPN)
    critic, _ = iterate(blind, 1.0, NONE, rounds=2, best_of=1)
    assert abs(critic[1]) < 0.2 < critic[0]


def test_best_of_n_is_the_exact_change_of_shares() -> None:
    share, score = np.full((1, 4), 0.25), np.array([[3.0, 1.0, 2.0, 4.0]])
    one = best_of_n_shares(share, score, 1)
    assert one == pytest.approx(share)
    two = best_of_n_shares(share, score, 2)[0]
    assert two == pytest.approx([5 / 16, 1 / 16, 3 / 16, 7 / 16])


def test_a_critic_without_the_base_score_has_no_ratio() -> None:
    base, trait = scaled(world().base_PN), scaled(world().trait_PN)
    assert np.isnan(bias_of(trait, base, trait))
    assert bias_of(2 * base + trait, base, trait) == pytest.approx(0.5)


def test_arms_have_intervals_and_no_factor_where_there_is_no_bias() -> None:
    settings = Settings(doses=(1.0,), rounds=2, draws=40)
    found = {arm.remedy: arm for arm in arms("length", world(), settings)}
    fixed, calibrated = found[FIXED.name], found[CALIBRATED.name]
    assert fixed.amplification is not None and fixed.amplification.value == pytest.approx(1.0)
    assert calibrated.policy_amplification is None
    plain = found[NONE.name].policy[-1]
    assert plain is not None and 0 < plain.low < plain.value < plain.high
    assert isinstance(REMEDIES[0], Remedy) and found.keys() == {r.name for r in REMEDIES}
