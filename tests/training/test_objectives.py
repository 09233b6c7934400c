"""Losses with known answers: the model is a stand-in whose log-likelihoods the test chooses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from charter.training.examples import TokenPair, TokenRow
from charter.training.objectives import DirectPreference, Imitation, PairwiseReward, lay_out_rows
from charter.training.settings import DPOSettings


def pair(p_a=1.0, ref_a=0.0, ref_b=0.0):
    return TokenPair(TokenRow((1, 2), (3, 4)), TokenRow((1, 2), (5, 6, 7, 8)), p_a, ref_a, ref_b)


class Likelihoods:
    """Answers with the given sums, a's first."""

    def __init__(self, *sums):
        self.sums = torch.tensor(sums, requires_grad=True)

    def __call__(self, input_ids, attention_mask, target_mask):
        return self.sums, target_mask.sum(1)


class Rewards:
    def __init__(self, *rewards):
        self.rewards = torch.tensor(rewards, requires_grad=True)

    def __call__(self, input_ids, attention_mask):
        return self.rewards


def dpo(model, *pairs, **settings):
    objective = DirectPreference(DPOSettings(**settings))
    return objective.loss(model, objective.collate(pairs))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_rows_are_laid_out_to_the_right_with_the_answer_marked():
    batch = lay_out_rows([TokenRow((1, 2), (3,)), TokenRow((4,), (5, 6, 7))])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 0], [4, 5, 6, 7]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch["target_mask"].int().tolist() == [[0, 0, 1, 0], [0, 1, 1, 1]]


def test_imitation_is_a_mean_over_tokens_not_rows():
    objective = Imitation()
    batch = objective.collate([TokenRow((1,), (2,)), TokenRow((1,), (2, 3, 4))])
    loss, _ = objective.loss(Likelihoods(-1.0, -9.0), batch)
    assert loss.item() == pytest.approx(10 / 4)


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_dpo_is_the_soft_cross_entropy_of_the_scaled_log_ratio(p):
    loss, _ = dpo(Likelihoods(-3.0, -8.0), pair(p, ref_a=-5.0, ref_b=-6.0), beta=0.5)
    h = 0.5 * ((-3 + 5) - (-8 + 6))
    expected = -p * math.log(sigmoid(h)) - (1 - p) * math.log(sigmoid(-h))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", ["dpo", "ipo"])
def test_exchanging_answers_and_label_changes_nothing(loss):
    given, _ = dpo(Likelihoods(-3.0, -8.0), pair(0.8, -5.0, -6.0), loss=loss)
    swapped, _ = dpo(Likelihoods(-8.0, -3.0), pair(0.2, -6.0, -5.0), loss=loss)
    assert given.item() == pytest.approx(swapped.item(), rel=1e-6)


@pytest.mark.parametrize("loss", ["dpo", "ipo"])
def test_a_tied_label_has_no_gradient_at_the_start(loss):
    model = Likelihoods(-3.0, -8.0)
    dpo(model, pair(0.5, ref_a=-3.0, ref_b=-8.0), loss=loss)[0].backward()
    assert model.sums.grad.tolist() == pytest.approx([0.0, 0.0], abs=1e-7)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_ipo_is_least_where_the_log_ratio_is_the_soft_target(p):
    beta = 0.2
    best = (2 * p - 1) / (2 * beta)
    model = Likelihoods(best, 0.0)
    dpo(model, pair(p), loss="ipo", beta=beta)[0].backward()
    assert model.sums.grad.tolist() == pytest.approx([0.0, 0.0], abs=1e-5)
    hard, _ = dpo(Likelihoods(1.0, 0.0), pair(1.0), loss="ipo", beta=beta)
    assert hard.item() == pytest.approx((1 - 1 / (2 * beta)) ** 2, rel=1e-5)


def test_length_normalisation_divides_by_each_answers_tokens():
    _, metrics = dpo(
        Likelihoods(-2.0, -8.0), pair(1.0, -4.0, -4.0), beta=1.0, length_normalised=True
    )
    assert metrics["margin"].item() == pytest.approx((-2 + 4) / 2 - (-8 + 4) / 4)


@pytest.mark.parametrize(("p", "nll"), [(0.9, 3 / 2), (0.1, 8 / 4), (0.5, (3 / 2 + 8 / 4) / 2)])
def test_the_sft_term_is_the_mean_token_nll_of_the_preferred_answer(p, nll):
    with_term, metrics = dpo(Likelihoods(-3.0, -8.0), pair(p), sft_weight=2.0)
    without, _ = dpo(Likelihoods(-3.0, -8.0), pair(p))
    assert (with_term - without).item() == pytest.approx(2 * nll, rel=1e-5)
    assert metrics["preferred_nll"].item() == pytest.approx(nll)


def test_accuracy_counts_ties_of_margin_or_label_one_half():
    pairs = [pair(0.9), pair(0.1), pair(0.9), pair(0.5)]
    # right, wrong, tied margin, tied label
    model = Likelihoods(-1.0, -1.0, -5.0, -1.0, -2.0, -2.0, -5.0, -2.0)
    _, metrics = dpo(model, *pairs)
    assert metrics["accuracy"].item() == pytest.approx((1 + 0 + 0.5 + 0.5) / 4)


def test_reward_loss_is_the_soft_cross_entropy_plus_centring():
    objective = PairwiseReward(centring=0.1)
    loss, metrics = objective.loss(Rewards(2.0, 0.5), objective.collate([pair(0.7)]))
    entropy = -0.7 * math.log(sigmoid(1.5)) - 0.3 * math.log(sigmoid(-1.5))
    assert loss.item() == pytest.approx(entropy + 0.1 * 2.5**2, rel=1e-5)
    assert metrics["reward"].item() == pytest.approx(1.25)


def test_reward_margins_settle_at_the_labels_log_odds():
    model = Rewards(math.log(0.8 / 0.2), 0.0)
    objective = PairwiseReward()
    objective.loss(model, objective.collate([pair(0.8)]))[0].backward()
    assert model.rewards.grad.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


def test_pairs_count_by_their_weights():
    objective = PairwiseReward()
    light, heavy = replace(pair(1.0), weight=0.5), replace(pair(0.0), weight=1.5)
    batch = objective.collate([light, heavy])
    loss, metrics = objective.loss(Rewards(2.0, 2.0, 0.0, 0.0), batch)
    assert batch["units"].item() == 2.0
    expected = -0.25 * math.log(sigmoid(2.0)) - 0.75 * math.log(sigmoid(-2.0))
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    assert metrics["accuracy"].item() == pytest.approx(0.25)
