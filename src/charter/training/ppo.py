"""Proximal policy optimisation of a language model, on any reward that reads text.

Owns the order of rounds, and what is saved between them; sampling is `rounds`, learning is
`learner`, the formulas are `advantages`. It is Schulman et al. 2017 in the form that Ziegler et al.
2019 gave it for text (a KL penalty a token, the reward on the last one), small enough to be read in
one sitting. REINFORCE with a learned baseline (Lee et al. 2023) is a setting of it. One process: it
does not run on several devices.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from charter.errors import TrainingError
from charter.records import Checkpoint, Prompt
from charter.training import processes
from charter.training.journal import Journal, Round, learner_state, restore_learner
from charter.training.learner import Learner
from charter.training.loop import steps_folder
from charter.training.monitor import Monitor
from charter.training.online import TrainedOnline
from charter.training.policy import load_policy, save_policy
from charter.training.quiet import quiet
from charter.training.recorder import Keep, Recorder
from charter.training.rewards import Reward
from charter.training.rl_settings import PPOSettings
from charter.training.rounds import RoundSampler
from charter.training.snapshot import Snapshot
from charter.training.trackers import Tracker
from charter.training.watch import Progress, silent

_STATE, _BEST = "state", "best"


@quiet()
def train_ppo(
    start: Checkpoint,
    prompts: Sequence[Prompt],
    reward: Reward,
    settings: PPOSettings,
    out: str | Path,
    progress: Progress = silent,
    *,
    keep: Keep | None = None,
    monitor: Monitor | None = None,
) -> TrainedOnline:
    """Train the start model on rewards of its own answers, tied to itself by a KL penalty.

    Args:
        start: the model to begin with, and to stay close to.
        prompts: visited in random order, again and again.
        reward: called with each part of a round's samples.
        settings: see `PPOSettings`.
        out: folder of the new checkpoint.
        progress: called after each round.
        keep: called with each round's rollouts as they are made, to be written down.
        monitor: watches, and may stop training at the peak of the held-out score.

    Raises:
        TrainingError: there are too few prompts, no sample had a reward, or training diverged.
        ModelError: the start cannot be loaded.
    """
    settings = settings.resolved()
    _require(prompts, settings)
    tracker = Tracker(settings.report_to, Path(out) / "runs")
    started, model = time.monotonic(), load_policy(start, settings)
    snapshot = Snapshot(model.net)
    recorder = Recorder(reward, keep, monitor, snapshot.keep)
    learner = Learner(model, settings)
    sampler = RoundSampler(model, prompts, recorder, settings)
    journal = Journal(steps_folder(Path(out), [start, prompts], settings), settings.save_steps)
    past = _resumed(journal, learner, snapshot, sampler)
    recorder.recall(past, {prompt.id: prompt.messages for prompt in prompts})
    curve = [_curve_row(made) for made in past]
    for step in range(len(past) + 1, settings.steps + 1):
        if monitor is not None and monitor.stop:
            break
        rows, rewards = sampler.round(step)
        figures = learner.learn(step, rows, rewards)
        if monitor is not None:
            monitor.close(step, figures)
        made = Round(step, recorder.of_step(step), dict(figures))
        curve.append(_curve_row(made))
        journal.add(made)
        _save(journal, step, learner, snapshot, sampler)
        tracker.log(step, figures)
        progress(step, settings.steps, figures)
    tracker.close()
    if monitor is not None and monitor.stop:
        snapshot.restore()
    recorder.require_any()
    checkpoint = save_policy(model, start, Path(out))
    shutil.rmtree(journal.folder, ignore_errors=True)
    return TrainedOnline(
        checkpoint,
        tuple(curve),
        tuple(recorder.rollouts),
        sampler.tokens,
        time.monotonic() - started,
    )


def _require(prompts: Sequence[Prompt], settings: PPOSettings) -> None:
    if len(prompts) < settings.prompts_per_step:
        raise TrainingError(
            f"{len(prompts)} prompts are too few for prompts_per_step={settings.prompts_per_step}"
        )
    if processes.count() > 1:
        raise TrainingError(f"{settings.method} runs in one process, not in {processes.count()}")


def _curve_row(made: Round) -> dict[str, float]:
    known = {name: value for name, value in made.figures.items() if value is not None}
    return {"step": float(made.step), **known}


def _save(
    journal: Journal, step: int, learner: Learner, snapshot: Snapshot, sampler: RoundSampler
) -> None:
    """Save everything that moves, if it is time to."""
    if not journal.due(step):
        return
    if snapshot.kept:
        # Under a name of their own, before the state that asks for them, and the old ones after.
        journal.save(_BEST, step, snapshot.kept, None, forget=False)
    tensors, about = learner_state(learner.actor, learner.optimizer, learner.schedule)
    journal.save(_STATE, step, tensors, {**about, "tokens": sampler.tokens})
    journal.forget(_BEST, before=step)


def _resumed(
    journal: Journal, learner: Learner, snapshot: Snapshot, sampler: RoundSampler
) -> list[Round]:
    """Go back to the last state that was saved; returns the steps that led there."""
    done = journal.last(_STATE)
    if done:
        tensors, about = journal.load(_STATE, done)
        restore_learner(learner.actor, learner.optimizer, learner.schedule, tensors, about)
        sampler.tokens = about["tokens"]
        snapshot.recall(journal.load(_BEST, done)[0])
    return journal.until(done)
