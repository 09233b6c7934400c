"""The arithmetic of PPO, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from charter.training.advantages import (
    generalised_advantages,
    policy_loss,
    token_rewards,
    value_loss,
    whitened,
)

MASK = torch.tensor([[True, True, True], [True, True, False]])


def test_the_text_is_paid_on_its_last_token_and_the_kl_on_each() -> None:
    kl = torch.tensor([[0.1, 0.2, 0.3], [1.0, 2.0, 99.0]])
    found = token_rewards(torch.tensor([5.0, -1.0]), kl, MASK, beta=0.5)
    torch.testing.assert_close(found, torch.tensor([[-0.05, -0.1, 4.85], [-0.5, -2.0, 0.0]]))


def test_with_lambda_1_an_advantage_is_the_return_less_the_value() -> None:
    rewards = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]])
    values = torch.tensor([[0.5, 0.25, 0.125], [1.0, 2.0, 77.0]])
    found = generalised_advantages(rewards, values, MASK, gamma=1.0, lam=1.0)
    torch.testing.assert_close(found, torch.tensor([[5.5, 4.75, 2.875], [8.0, 3.0, 0.0]]))


def test_with_lambda_0_an_advantage_is_one_step_of_surprise() -> None:
    rewards = torch.tensor([[1.0, 2.0, 3.0]])
    values = torch.tensor([[10.0, 20.0, 30.0]])
    found = generalised_advantages(rewards, values, MASK[:1], gamma=0.5, lam=0.0)
    # r + gamma * next value - value; after the last token there is nothing.
    torch.testing.assert_close(found, torch.tensor([[1.0, -3.0, -27.0]]))


def test_between_the_two_surprises_are_discounted() -> None:
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.zeros(1, 3)
    found = generalised_advantages(rewards, values, MASK[:1], gamma=1.0, lam=0.5)
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.5, 1.0]]))


def test_whitening_looks_at_real_tokens_only() -> None:
    found = whitened(torch.tensor([[1.0, 2.0, 3.0], [2.0, 2.0, 1e6]]), MASK)
    assert float(found[MASK].mean()) == pytest.approx(0.0, abs=1e-6)
    assert float(found[MASK].std(unbiased=False)) == pytest.approx(1.0, rel=1e-5)
    assert float(found[1, 2]) == 0.0
    assert not whitened(torch.full((2, 3), 7.0), MASK).any()


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.5, 1.0, -1.2),  # a good token counts up to 1 + clip
        (0.5, 1.0, -0.5),  # one that became less likely is not cut
        (0.5, -1.0, 0.8),  # a bad token counts down to 1 - clip
        (1.5, -1.0, 1.5),
    ],
)
def test_the_ratio_is_clipped_where_it_would_help(
    ratio: float, advantage: float, expected: float
) -> None:
    logs, advantages = torch.tensor([[math.log(ratio)]]), torch.tensor([[advantage]])
    one = torch.tensor([[True]])
    assert float(policy_loss(logs, advantages, one, clip=0.2)) == pytest.approx(expected)
    plain = policy_loss(logs, advantages, one, clip=0.0)
    assert float(plain) == pytest.approx(-ratio * advantage)


def test_at_the_old_policy_the_gradient_is_that_of_reinforce() -> None:
    logs = torch.zeros(1, 2, requires_grad=True)
    policy_loss(logs, torch.tensor([[3.0, -1.0]]), torch.ones(1, 2).bool(), clip=0.2).backward()
    torch.testing.assert_close(logs.grad, torch.tensor([[-1.5, 0.5]]))


def test_a_value_may_not_profit_from_a_move_beyond_the_clip() -> None:
    one = torch.tensor([[True]])
    old, returns = torch.tensor([[0.0]]), torch.tensor([[1.0]])
    found = value_loss(torch.tensor([[1.0]]), old, returns, one, clip=0.2)
    assert float(found) == pytest.approx(0.5 * 0.8**2)
    assert float(value_loss(torch.tensor([[1.0]]), old, returns, one, clip=0.0)) == 0.0
