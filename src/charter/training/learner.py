"""How PPO learns from one round of samples: policy, value head, reference and their optimiser.

Owns the steps on a round; the formulas are `advantages`. A sample without a reward is left out
before anything is learnt; a round without any moves no weight. Knows no prompt and no folder.

Shape suffixes: B rows, A answer tokens (padded on the right).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import LRScheduler
from transformers.optimization import get_scheduler

from charter.errors import TrainingError
from charter.models.hf import HFModel
from charter.seeds import draws
from charter.training.actor import ActorCritic, Reading, Reference
from charter.training.advantages import (
    generalised_advantages,
    masked_mean,
    policy_loss,
    token_rewards,
    value_loss,
    whitened,
)
from charter.training.examples import TokenRow
from charter.training.objectives import Batch, lay_out_rows
from charter.training.policy import precision
from charter.training.rl_settings import PPOSettings

_SEED = "ppo"


@dataclass(frozen=True, slots=True)
class Sampled:
    """One round's samples as they were under the policy that made them; tensors [B, A]."""

    batch: Batch
    old: Reading
    advantages_BA: torch.Tensor
    returns_BA: torch.Tensor
    kl_BA: torch.Tensor
    scores_B: torch.Tensor


class Learner:
    """The policy, its value head, its reference, and their optimiser."""

    def __init__(self, model: HFModel, settings: PPOSettings) -> None:
        self.settings, self.device = settings, model.device
        self.actor = ActorCritic(model.net, temperature=settings.temperature).eval()
        self.reference = Reference(self.actor)
        self.policy = [p for p in self.actor.net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": self.policy, "lr": settings.learning_rate},
                {"params": self.actor.value.parameters(), "lr": settings.value_learning_rate},
            ],
            weight_decay=settings.weight_decay,
        )
        self.schedule = self._schedule()

    def learn(
        self, step: int, rows: Sequence[TokenRow], rewards: Sequence[float | None]
    ) -> dict[str, float]:
        """Learn from the samples that have a reward; returns the round's figures."""
        known = [(row, r) for row, r in zip(rows, rewards, strict=True) if r is not None]
        if not known:
            return {"loss": 0.0, "left_out": float(len(rows))}
        with torch.no_grad(), precision(self.device):
            made = self._look([row for row, _ in known], [r for _, r in known])
        losses = [self._update(made, part) for part in self._parts(step, len(known))]
        self.schedule.step()
        figures = {name: sum(f[name] for f in losses) / len(losses) for name in losses[0]}
        for name in ("loss", "value_loss", "grad_norm"):
            if not math.isfinite(figures[name]):
                raise TrainingError(
                    f"{name} became {figures[name]} at step {step} of {self.settings.steps}: "
                    "try a smaller learning_rate"
                )
        return {**figures, **self._figures(made), "left_out": float(len(rows) - len(known))}

    def _look(self, rows: Sequence[TokenRow], rewards: Sequence[float]) -> Sampled:
        """Likelihoods, values and advantages under the policy as it was when it sampled."""
        settings = self.settings
        batch = {name: t.to(self.device) for name, t in lay_out_rows(rows).items()}
        old: Reading = self.actor(**batch)
        kl_BA = old.logprobs_BA - self.reference.logprobs(batch)
        scores_B = torch.tensor(rewards, device=self.device)
        # Lee et al. 2023, app. B: J = E[(1 - β) r - β KL].
        weight = 1 - settings.beta if settings.method == "reinforce" else 1.0
        paid_BA = token_rewards(weight * scores_B, kl_BA, old.mask_BA, beta=settings.beta)
        advantages_BA = generalised_advantages(
            paid_BA, old.values_BA, old.mask_BA, gamma=settings.gamma, lam=settings.lam
        )
        returns_BA = advantages_BA + old.values_BA
        if settings.whiten:
            advantages_BA = whitened(advantages_BA, old.mask_BA)
        return Sampled(batch, old, advantages_BA, returns_BA, kl_BA, scores_B)

    def _parts(self, step: int, count: int) -> Iterator[list[int]]:
        size = self.settings.minibatch
        for epoch in range(self.settings.epochs):
            order = list(range(count))
            draws(self.settings.seed, _SEED, "minibatches", step, epoch).shuffle(order)
            for start in range(0, count, size):
                yield order[start : start + size]

    def _update(self, made: Sampled, part: Sequence[int]) -> dict[str, float]:
        """One gradient step on some rows of a round."""
        settings = self.settings
        batch = {name: tensor[list(part)] for name, tensor in made.batch.items()}
        with precision(self.device):
            new: Reading = self.actor(**batch)
        mask_BA = new.mask_BA
        width = mask_BA.shape[1]

        def rows(grid_BA: torch.Tensor) -> torch.Tensor:
            return grid_BA[list(part), :width]

        log_ratio_BA = (new.logprobs_BA - rows(made.old.logprobs_BA)) * mask_BA
        loss = policy_loss(log_ratio_BA, rows(made.advantages_BA), mask_BA, clip=settings.clip)
        error = value_loss(
            new.values_BA,
            rows(made.old.values_BA),
            rows(made.returns_BA),
            mask_BA,
            clip=settings.value_clip,
        )
        self.optimizer.zero_grad()
        # The two share no weight, so their sum has the gradient of each.
        (loss + error).backward()  # type: ignore[no-untyped-call]
        norm = clip_grad_norm_(self.policy, settings.max_grad_norm)
        self.optimizer.step()
        moved = masked_mean(((log_ratio_BA.exp() - 1).abs() > (settings.clip or math.inf)), mask_BA)
        return {
            "loss": float(loss.detach()),
            "value_loss": float(error.detach()),
            "grad_norm": float(norm),
            "clipped": float(moved),
        }

    def _figures(self, made: Sampled) -> dict[str, float]:
        """What the round's samples were like; `kl` is of whole answers, in nats."""
        mask_BA = made.old.mask_BA
        return {
            "reward": float(made.scores_B.mean()),
            "kl": float((made.kl_BA * mask_BA).sum(1).mean()),
            "entropy": float(masked_mean(made.old.entropy_BA, mask_BA)),
            "tokens": float(mask_BA.sum(1).float().mean()),
            "value": float(masked_mean(made.old.values_BA, mask_BA)),
            "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
        }

    def _schedule(self) -> LRScheduler:
        settings = self.settings
        name = "constant_with_warmup" if settings.schedule == "constant" else settings.schedule
        warmup = int(settings.warmup_ratio * settings.steps)
        found: LRScheduler = get_scheduler(name, self.optimizer, warmup, settings.steps)
        return found
