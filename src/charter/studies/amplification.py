"""A critic with a planted bias judges, the policy imitates, the critic learns from its verdicts.

Owns one world of this kind on a fixed pool of answers, so that nothing is sampled anew: the policy
is a weight an answer, and imitating the best of n by a critic is a known change of these weights.
The critic of the next round is fitted to this round's verdicts, on the answers that the policy now
gives; that is self-critique, where one model is both. Knows no model and no text.

    critic of round 1 = z(base) + dose · z(trait)       its bias = slope(trait) / slope(base)

Slopes are of a regression of its scores on both over the whole pool, so the bias in round 1 *is*
the dose. `base` stands for people wherever people are asked. Shape suffixes: P prompts, N samples
of a prompt, D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from charter.records import Record
from charter.studies import ridge

PENALTY = 0.01


@dataclass(frozen=True, slots=True)
class World:
    """A pool of answers: the unbiased score, the trait, and what a critic can see of them.

    Attributes:
        base_PN: score of the critic without the planted bias.
        trait_PN: how much of the trait each answer has.
        features_PND: what a critic is fitted on.
        others_MPN: scores of further, unbiased critics, for an ensemble.
    """

    base_PN: np.ndarray
    trait_PN: np.ndarray
    features_PND: np.ndarray
    others_MPN: np.ndarray

    def part(self, rows: np.ndarray) -> World:
        """The world of some prompts, repeated as often as they are named."""
        return World(
            self.base_PN[rows],
            self.trait_PN[rows],
            self.features_PND[rows],
            self.others_MPN[:, rows],
        )


class Remedy(Record, frozen=True):
    """What is done against the bias.

    Attributes:
        name: for tables.
        relearn: the critic learns from its own verdicts; else it stays what it was.
        ensemble: the verdict is the mean over it and the other critics.
        calibrate: share of the prompts on which people's scores tell how much too well it likes the
            trait; that much is taken off everywhere.
        anchors: share of the prompts on which people's scores stand in place of its verdicts.
    """

    name: str
    relearn: bool = True
    ensemble: bool = False
    calibrate: float = 0.0
    anchors: float = 0.0


REMEDIES = (
    Remedy("none"),
    Remedy("critic stays fixed", relearn=False),
    Remedy("ensemble of three", ensemble=True),
    Remedy("calibrated on 25 %", calibrate=0.25),
    Remedy("human anchors 10 %", anchors=0.1),
    Remedy("human anchors 30 %", anchors=0.3),
)


def iterate(
    world: World, dose: float, remedy: Remedy, *, rounds: int, best_of: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bias of the critic in each round [rounds], and the policy's mean trait after it [rounds].

    The trait is in standard deviations of the start policy's answers. Which prompts have people's
    scores goes by their place: the first ones.
    """
    base_PN, trait_PN = scaled(world.base_PN), scaled(world.trait_PN)
    critic_PN = scaled(base_PN + dose * trait_PN)
    verdict_PN = critic_PN
    share_PN = np.full(base_PN.shape, 1 / base_PN.shape[1])
    biases, traits = [], []
    for number in range(rounds):
        if number and remedy.relearn:
            critic_PN = _relearned(world.features_PND, verdict_PN, share_PN)
        verdict_PN = _verdicts(critic_PN, world, base_PN, trait_PN, remedy)
        biases.append(bias_of(verdict_PN, base_PN, trait_PN))
        share_PN = best_of_n_shares(share_PN, verdict_PN, best_of)
        traits.append(float((share_PN * trait_PN).sum(1).mean()))
    return np.array(biases), np.array(traits)


def bias_of(critic_PN: np.ndarray, base_PN: np.ndarray, trait_PN: np.ndarray) -> float:
    """How much a critic likes the trait, in units of how much it likes the base score.

    nan for a critic whose scores hardly go with the base score at all: the ratio means nothing.
    """
    inside = [part - part.mean(1, keepdims=True) for part in (base_PN, trait_PN, critic_PN)]
    design_N2 = np.stack([part.ravel() for part in inside[:2]], 1)
    slopes = np.linalg.lstsq(design_N2, inside[2].ravel(), rcond=None)[0]
    spread = float(inside[2].std()) or 1.0
    return float(slopes[1] / slopes[0]) if slopes[0] > 0.05 * spread else float("nan")


def best_of_n_shares(share_PN: np.ndarray, score_PN: np.ndarray, n: int) -> np.ndarray:
    """The policy that gives the best of n answers of another: F(i)^n - F(i-1)^n, by rank."""
    order_PN = np.argsort(score_PN, axis=1, kind="stable")
    sorted_PN = np.take_along_axis(share_PN, order_PN, axis=1)
    reached_PN = np.clip(np.cumsum(sorted_PN, axis=1), 0.0, 1.0) ** n
    gained_PN = np.diff(reached_PN, axis=1, prepend=0.0)
    found_PN = np.empty_like(gained_PN)
    np.put_along_axis(found_PN, order_PN, gained_PN, axis=1)
    return np.asarray(found_PN / found_PN.sum(1, keepdims=True))


def scaled(score_PN: np.ndarray) -> np.ndarray:
    """Scores with mean 0 on every prompt and a standard deviation of 1 over all."""
    centred_PN = score_PN - score_PN.mean(1, keepdims=True)
    return np.asarray(centred_PN / (centred_PN.std() or 1.0))


def _verdicts(
    critic_PN: np.ndarray,
    world: World,
    base_PN: np.ndarray,
    trait_PN: np.ndarray,
    remedy: Remedy,
) -> np.ndarray:
    """The critic's scores, after the remedy."""
    prompts = len(base_PN)
    if remedy.ensemble:
        others = [scaled(other_PN) for other_PN in world.others_MPN]
        critic_PN = np.mean([critic_PN, *others], axis=0)
    if remedy.calibrate:
        few = max(2, round(remedy.calibrate * prompts))
        critic_PN = _calibrated(critic_PN, base_PN, trait_PN, few)
    if remedy.anchors:
        few = max(1, round(remedy.anchors * prompts))
        critic_PN = np.concatenate([base_PN[:few], critic_PN[few:]])
    return critic_PN


def _calibrated(
    critic_PN: np.ndarray, base_PN: np.ndarray, trait_PN: np.ndarray, few: int
) -> np.ndarray:
    """Take off the slope on the trait of what people do not share, seen on a few prompts."""
    trait = trait_PN[:few].ravel()
    design_N2 = np.stack([base_PN[:few].ravel(), trait], 1)
    slope = np.linalg.lstsq(design_N2, critic_PN[:few].ravel(), rcond=None)[0][1]
    return np.asarray(critic_PN - slope * trait_PN)


def _relearned(
    features_PND: np.ndarray, verdict_PN: np.ndarray, share_PN: np.ndarray
) -> np.ndarray:
    """A critic fitted to verdicts on the answers that the policy gives, scoring the whole pool."""
    middle_P1 = (share_PN * verdict_PN).sum(1, keepdims=True)
    centre_P1D = (share_PN[..., None] * features_PND).sum(1, keepdims=True)
    rows_PND = features_PND - centre_P1D
    width = features_PND.shape[-1]
    weights_D = ridge.fit(
        rows_PND.reshape(-1, width),
        (verdict_PN - middle_P1).ravel(),
        share_PN.ravel(),
        PENALTY,
    )
    return scaled(features_PND @ weights_D)
