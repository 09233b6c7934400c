"""Stage: reinforcement learning from AI feedback (Bai et al. 2022, §4).

Owns the choice of optimiser and what it is given: labelled pairs for DPO and IPO, prompts and a
reward for all others. The reward is the preference model, or a judge itself (direct RLAIF, Lee et
al. 2023, §3.2.2). The penalty, or the implicit constraint, is always towards the SFT model.

What watches the training (a held-out scorer, a refusal detector) comes in from the pipeline: this
stage knows none, and rewards with none of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from charter.engine.local import silent
from charter.errors import InputError, TrainingError
from charter.records import Checkpoint, Labelled, Message, Prompt, Record, Rollout, Scorer, Verdict
from charter.store import Manifest, StageFolder
from charter.training.best_of_n import train_best_of_n
from charter.training.curves import write_curve
from charter.training.examples import Labels, pair_example, target
from charter.training.loop import Trained
from charter.training.monitor import Monitor, MonitorRow
from charter.training.online import TrainedOnline, train_online
from charter.training.ppo import train_ppo
from charter.training.rewards import Reward, WeightedReward, words
from charter.training.rl_settings import BestOfNSettings, MonitorSettings, PPOSettings
from charter.training.run import train_dpo
from charter.training.settings import DPOSettings, OnlineSettings, TrainSettings

STAGE = "rl"
MONITOR = "monitor.jsonl"
PREFERENCE = "preference"
BEST_OF_N = "best-of-n"
_OFF_POLICY = ("dpo", "ipo")
Method = Literal["dpo", "ipo", "grpo", "rloo", "ppo", "reinforce", "best-of-n"]


class RlConfig(Record, frozen=True):
    """The `rl:` block of a recipe."""

    method: Method = "grpo"
    """`dpo` and `ipo` learn from the labelled pairs themselves; `grpo`, `rloo`, `ppo`, `reinforce`
    and `best-of-n` from a reward of the policy's own samples."""
    reward: str = PREFERENCE
    """What rewards samples: the `preference` model, or a judge (direct RLAIF): one under `judges:`,
    or a kind of judge that needs no settings, such as `rating`."""
    labels: Labels = "soft"
    """`dpo` and `ipo` aim at probabilities, or (`hard`) only at which answer they prefer."""
    length_weight: float = 0.0
    """Added to the reward for each word of an answer; a small negative number keeps it short."""
    train: TrainSettings = TrainSettings()
    """Settings of training on pairs, and of imitating the best of n."""
    dpo: DPOSettings = DPOSettings()
    """Settings of `dpo` and `ipo`; `loss` follows `method`."""
    online: OnlineSettings = OnlineSettings()
    """Settings of `grpo` and `rloo`; its `method` follows `method`."""
    ppo: PPOSettings = PPOSettings()
    """Settings of `ppo` and `reinforce`; its `method` follows `method`."""
    best_of_n: BestOfNSettings = BestOfNSettings()
    """Settings of `best-of-n`."""
    monitor: MonitorSettings = MonitorSettings()
    """What is watched while learning from a reward, and when it stops."""

    @property
    def on_policy(self) -> bool:
        """Whether it learns from a reward of its own samples."""
        return self.method not in _OFF_POLICY

    def seeded(self, seed: int) -> RlConfig:
        """The same with a run's seed added to those of every optimiser."""
        moved = {
            name: msgspec.structs.replace(block, seed=block.seed + seed)
            for name, block in (("train", self.train), ("online", self.online), ("ppo", self.ppo))
        }
        return msgspec.structs.replace(self, **moved)


@dataclass(frozen=True, slots=True)
class Watched:
    """A scorer that watches, and the identities of all that is in it."""

    scorer: Scorer
    identities: frozenset[str] = frozenset()

    def all_identities(self) -> frozenset[str]:
        """Its own identity among them."""
        return self.identities | {self.scorer.identity}


@dataclass(frozen=True, slots=True)
class RlDeps:
    """What the stage works with.

    Attributes:
        start: the SFT model, which is also the reference.
        folder: where the checkpoint, the curve, the rollouts and the monitor's rows go.
        scorer: loads the reward, called for on-policy methods only.
        progress: told after every step.
        held_out: loads the scorer that watches; None if nobody does.
        refusal: whether an answer declines; shown, and decides nothing.
        evaluators: identities of the final evaluators: none of them may watch.
        labellers: identities of the judges that labelled, to be told apart in the manifest.
    """

    start: Checkpoint
    folder: StageFolder
    scorer: Callable[[], Scorer]
    progress: Callable[[str, int, int | None], None] = silent
    held_out: Callable[[], Watched] | None = None
    refusal: Callable[[str], bool] | None = None
    evaluators: frozenset[str] = frozenset()
    labellers: frozenset[str] = frozenset()


def run(
    labels: Iterable[Labelled], prompts: Sequence[Prompt], config: RlConfig, *, deps: RlDeps
) -> Manifest:
    """Train the policy.

    Args:
        labels: labelled pairs (off-policy methods).
        prompts: prompts to sample from (on-policy methods).
        config: method and settings.
        deps: start model, folder, reward.

    Raises:
        TrainingError: there is nothing to learn from.
        InputError: what watches also rewards, or evaluates.
    """
    if deps.folder.manifest is not None:
        return deps.folder.manifest
    started = time.monotonic()
    if config.on_policy:
        notes = _on_policy(prompts, config, deps)
    else:
        notes = _from_pairs(labels, config, deps)
    return deps.folder.finish(time.monotonic() - started, {**notes, "method": config.method})


def _from_pairs(labels: Iterable[Labelled], config: RlConfig, deps: RlDeps) -> dict[str, Any]:
    pairs = [
        pair_example(r.comparison, target(r.label.p_a, config.labels))
        for r in labels
        if isinstance(r.label, Verdict)
    ]
    if not pairs:
        raise TrainingError("no labelled pairs: every label is an abstention")
    trained = train_dpo(
        deps.start,
        pairs,
        config.train,
        msgspec.structs.replace(config.dpo, loss=config.method),
        deps.folder.path / "checkpoint",
        progress=lambda done, total, _: deps.progress(STAGE, done, total),
    )
    return {"pairs": len(pairs), **_kept(trained, deps)}


def _on_policy(prompts: Sequence[Prompt], config: RlConfig, deps: RlDeps) -> dict[str, Any]:
    scorer = deps.scorer()
    if config.method == BEST_OF_N and config.best_of_n.when == "answering":
        # Nothing is trained: the pipeline wraps the start when it answers.
        return {"checkpoint": deps.start, "reward": scorer.identity, "tokens": 0}
    watched = deps.held_out() if deps.held_out is not None else None
    _require_apart(scorer, watched, deps)
    asked = {prompt.messages: prompt for prompt in prompts}
    rows = deps.folder.log(MonitorRow, MONITOR)
    rollouts = deps.folder.log(Rollout)
    # Training that was cut short starts again, and so do its samples.
    for log in (rows, rollouts):
        log.path.unlink(missing_ok=True)
    monitor = Monitor(
        config.monitor,
        held_out=None if watched is None else as_reward(watched.scorer, asked),
        refusal=deps.refusal,
        write=lambda row: rows.append([row]),
    )
    trained = _optimise(prompts, _reward(scorer, config, asked), config, deps, monitor)
    left_out = sum(1 for rollout in trained.rollouts if rollout.reward is None)
    return {
        "rollouts": len(trained.rollouts),
        "left_out": left_out,
        "reward": scorer.identity,
        "monitor": {**_about(watched, deps), **monitor.notes()},
        **_kept(trained, deps),
    }


def _optimise(
    prompts: Sequence[Prompt], reward: Reward, config: RlConfig, deps: RlDeps, monitor: Monitor
) -> TrainedOnline:
    out, common = deps.folder.path / "checkpoint", (deps.start, prompts, reward)
    rollouts = deps.folder.log(Rollout)

    def progress(done: int, total: int, _: Mapping[str, float]) -> None:
        deps.progress(STAGE, done, total)

    more: dict[str, Any] = {"keep": rollouts.append, "monitor": monitor}
    if config.method == BEST_OF_N:
        best = config.best_of_n
        return train_best_of_n(*common, best, config.train, out, progress, **more)
    if config.method in ("ppo", "reinforce"):
        ppo = msgspec.structs.replace(config.ppo, method=config.method)
        return train_ppo(*common, ppo, out, progress, **more)
    online = msgspec.structs.replace(config.online, method=config.method)
    return train_online(*common, online, out, progress, **more)


def as_reward(scorer: Scorer, prompts: Mapping[tuple[Message, ...], Prompt]) -> Reward:
    """A scorer as optimisers call it; `prompts` gives each conversation its kind and category."""

    def reward(contexts: list[tuple[Message, ...]], answers: list[str]) -> list[float | None]:
        exchanges = [
            (prompts.get(talk, Prompt("", talk)), text)
            for talk, text in zip(contexts, answers, strict=True)
        ]
        return [scored.value for scored in scorer.score(exchanges)]

    return reward


def _reward(
    scorer: Scorer, config: RlConfig, prompts: Mapping[tuple[Message, ...], Prompt]
) -> Reward:
    alone = as_reward(scorer, prompts)
    if not config.length_weight:
        return alone
    return WeightedReward({"reward": (1.0, alone), "words": (config.length_weight, words)})


def _kept(trained: Trained | TrainedOnline, deps: RlDeps) -> dict[str, Any]:
    write_curve(deps.folder.path, trained.curve)
    return {"checkpoint": trained.checkpoint, "tokens": trained.tokens}


def _require_apart(scorer: Scorer, watched: Watched | None, deps: RlDeps) -> None:
    """What watches must neither reward nor evaluate, or it would see nothing that they do not."""
    if watched is None:
        return
    for others, what in ((frozenset({scorer.identity}), "rewards"), (deps.evaluators, "evaluates")):
        if watched.all_identities() & others:
            raise InputError(
                f"{watched.scorer.identity!r} also {what}",
                field="rl.monitor.held_out",
                expected="a judge that neither rewards nor evaluates",
            )


def _about(watched: Watched | None, deps: RlDeps) -> dict[str, Any]:
    """Who watched, and that it is not who evaluates."""
    if watched is None:
        return {"held_out": None}
    return {
        "held_out": watched.scorer.identity,
        "held_out_identities": sorted(watched.all_identities()),
        "rewards": False,
        "evaluates": False,
        # As in Gao et al. 2022, where the gold labels what the proxy learns from.
        "labelled": bool(watched.all_identities() & deps.labellers),
    }
