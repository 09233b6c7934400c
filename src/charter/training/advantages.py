"""From rewards and values to advantages: pure arithmetic on padded grids.

Owns the formulas of PPO that know no model (Schulman et al. 2016, 2017; Ziegler et al. 2019, §2).

Shape suffixes: B rows, A answer tokens (padded on the right, `mask_BA` true on real ones).
"""

from __future__ import annotations

import torch


def token_rewards(
    scores_B: torch.Tensor, kl_BA: torch.Tensor, mask_BA: torch.Tensor, *, beta: float
) -> torch.Tensor:
    """Reward of each token [B, A]: minus `beta` times its KL, and the text's score on the last."""
    rewards_BA = -beta * kl_BA * mask_BA
    last_B = mask_BA.sum(1) - 1
    rows_B = torch.arange(len(scores_B), device=scores_B.device)
    return rewards_BA.index_put((rows_B, last_B), scores_B, accumulate=True)


def generalised_advantages(
    rewards_BA: torch.Tensor,
    values_BA: torch.Tensor,
    mask_BA: torch.Tensor,
    *,
    gamma: float,
    lam: float,
) -> torch.Tensor:
    """Generalised advantage estimates [B, A] (Schulman et al. 2016, eq. 16), 0 on padding.

    With `gamma` and `lam` at 1 it is the sum of the rewards that follow, minus the value: REINFORCE
    with a baseline.
    """
    advantages_BA = torch.zeros_like(rewards_BA)
    next_value_B, running_B = torch.zeros_like(values_BA[:, 0]), torch.zeros_like(values_BA[:, 0])
    for t in reversed(range(rewards_BA.shape[1])):
        here_B = mask_BA[:, t]
        delta_B = rewards_BA[:, t] + gamma * next_value_B - values_BA[:, t]
        # Padding passes on what comes from the right: zero.
        running_B = torch.where(here_B, delta_B + gamma * lam * running_B, running_B)
        next_value_B = torch.where(here_B, values_BA[:, t], next_value_B)
        advantages_BA[:, t] = running_B * here_B
    return advantages_BA


def whitened(values_BA: torch.Tensor, mask_BA: torch.Tensor) -> torch.Tensor:
    """Mean 0 and deviation 1 over the real tokens; 0 on padding, and where there is no spread."""
    real_N = values_BA[mask_BA]
    spread = real_N.std(unbiased=False)
    if not len(real_N) or spread < 1e-8:
        return torch.zeros_like(values_BA)
    return (values_BA - real_N.mean()) / spread * mask_BA


def policy_loss(
    log_ratio_BA: torch.Tensor, advantages_BA: torch.Tensor, mask_BA: torch.Tensor, *, clip: float
) -> torch.Tensor:
    """Mean over tokens of the clipped surrogate (Schulman et al. 2017, eq. 7); `clip` 0: plain."""
    ratio_BA = log_ratio_BA.exp()
    loss_BA = -ratio_BA * advantages_BA
    if clip:
        cut_BA = ratio_BA.clamp(1 - clip, 1 + clip)
        loss_BA = torch.maximum(loss_BA, -cut_BA * advantages_BA)
    return masked_mean(loss_BA, mask_BA)


def value_loss(
    values_BA: torch.Tensor,
    old_BA: torch.Tensor,
    returns_BA: torch.Tensor,
    mask_BA: torch.Tensor,
    *,
    clip: float,
) -> torch.Tensor:
    """Half the mean squared error of the values, pessimistic about moves beyond `clip`."""
    loss_BA = (values_BA - returns_BA) ** 2
    if clip:
        cut_BA = old_BA + (values_BA - old_BA).clamp(-clip, clip)
        loss_BA = torch.maximum(loss_BA, (cut_BA - returns_BA) ** 2)
    return 0.5 * masked_mean(loss_BA, mask_BA)


def masked_mean(values_BA: torch.Tensor, mask_BA: torch.Tensor) -> torch.Tensor:
    """Mean over the real tokens."""
    return (values_BA * mask_BA).sum() / mask_BA.sum()
