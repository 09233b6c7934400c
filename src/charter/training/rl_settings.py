"""Settings of the optimisers that this project has of its own, and of what watches them.

Owns names, defaults and ranges; those of training on data and of TRL's optimisers are in
`settings`. Knows no model and no data.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from charter.records import Record
from charter.training.settings import Count, CountOrNone, NotNegative, Positive, Tuning

ZeroToOne = Annotated[float, Meta(ge=0, le=1)]


class PPOSettings(Tuning, frozen=True):
    """PPO on the policy's own samples, and REINFORCE with a learned baseline."""

    learning_rate: Positive = 1e-4
    """Peak learning rate of the policy."""
    method: Literal["ppo", "reinforce"] = "ppo"
    """`ppo`: Schulman et al. 2017, as in Ziegler et al. 2019; `reinforce`: Lee et al. 2023, app. B:
    one update a sample, no clipping, and the reward weighed by 1 - `beta`."""
    steps: Count = 50
    """Rounds of sampling and learning."""
    prompts_per_step: Count = 16
    """Prompts sampled from in each round."""
    group: Count = 1
    """Samples a prompt."""
    epochs: Count = 4
    """Passes over a round's samples."""
    minibatch: Count = 8
    """Samples a gradient step."""
    overlap: Count = 1
    """Parts in which a round is sampled; while one is being rewarded the next is sampled, which
    hides the time of a slow judge behind an endpoint."""
    max_length: Annotated[int, Meta(ge=2)] = 1024
    """Tokens of prompt and answer together; what is too much is cut from the prompt's start."""
    max_new_tokens: Count = 64
    """Longest sample, in tokens."""
    temperature: Positive = 1.0
    """Sampling temperature; likelihoods and KL are those of the tempered policy."""
    beta: NotNegative = 0.05
    """Weight of the KL from the start policy, charged token by token."""
    gamma: ZeroToOne = 1.0
    """Discount of later rewards."""
    lam: ZeroToOne = 0.95
    """λ of the generalised advantage (Schulman et al. 2016); 1 trusts the value least."""
    clip: NotNegative = 0.2
    """The ratio of new to old likelihood counts within 1 ± `clip`; 0 does not clip."""
    value_clip: NotNegative = 0.2
    """A value moves this far from the old one in a round; 0 does not clip."""
    whiten: bool = True
    """Scale advantages to mean 0 and deviation 1 over the tokens of a round."""
    value_learning_rate: Positive = 1e-3
    """Learning rate of the value head, a linear map of the policy's last hidden states. Its loss
    does not reach the policy."""

    def resolved(self) -> PPOSettings:
        """What `reinforce` fixes is filled in; the settings of `ppo` are as they stand."""
        if self.method == "ppo":
            return self
        whole_round = self.prompts_per_step * self.group
        return replace(
            self, epochs=1, minibatch=whole_round, clip=0.0, value_clip=0.0, lam=1.0, whiten=False
        )


class BestOfNSettings(Record, frozen=True):
    """Best of n: the cheap baseline of every optimiser."""

    n: Annotated[int, Meta(ge=2)] = 8
    """Samples a prompt."""
    when: Literal["training", "answering"] = "training"
    """`training` imitates the winners (settings `rl.train`); `answering` changes no weight: each
    answer of the aligned model is then the best of n of the start's."""
    max_new_tokens: Count = 64
    """Longest sample, in tokens."""
    temperature: Positive = 1.0
    """Sampling temperature."""


class MonitorSettings(Record, frozen=True):
    """What is watched while a policy learns from a reward, and when it is stopped."""

    held_out: str = ""
    """A judge under `judges:`, or a kind of judge, that scores samples and rewards nothing; it must
    be another one than those that reward and that evaluate. Empty: nobody looks."""
    every: Count = 1
    """The held-out scorer reads the samples of every so many steps."""
    window: Count = 5
    """Readings that a mean is taken over."""
    z: NotNegative = 2.0
    """The held-out score has peaked if its mean lies so many standard errors under the best one."""
    stop: bool = True
    """Stop when the held-out score has peaked, and keep the weights of the peak."""
    phrases: CountOrNone = 5
    """Openings and closings listed, the most common first."""
