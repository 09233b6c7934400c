"""Training a preference model on soft labels.

Owns the order of things: load, tokenise, fit, centre, save. What a preference model is stands in
`reward_model`, the loss in `objectives`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from charter.errors import TrainingError
from charter.models import hf
from charter.records import Checkpoint
from charter.training import processes
from charter.training.crew import together
from charter.training.examples import PairExample, Tokeniser, TokenPair
from charter.training.loop import Trained, fit
from charter.training.objectives import PairwiseReward
from charter.training.policy import checkpoint_at, trainable
from charter.training.quiet import quiet
from charter.training.reward_model import (
    RewardModel,
    RewardNet,
    load_reward,
    save_reward,
    sequence_net,
)
from charter.training.settings import TrainSettings
from charter.training.shards import in_shards, whole_state
from charter.training.watch import Progress, silent

__all__ = ["RewardModel", "load_reward", "train_preference"]

_MEAN_OVER = 1000
"""Training answers that the mean reward is taken over; its error is then 3 % of a deviation."""


@together(progress=silent)
@quiet()
def train_preference(
    start: Checkpoint,
    pairs: Sequence[PairExample],
    settings: TrainSettings,
    out: str | Path,
    progress: Progress = silent,
    centring: float = 0.01,
    reference: Sequence[PairExample] = (),
) -> Trained:
    """Train a preference model whose backbone is the start model's.

    Args:
        start: the model to build on, its adapters merged.
        pairs: conversations, two answers each, and soft labels.
        settings: see `TrainSettings`; the score head is trained whatever they say.
        out: folder of the preference model, for `load_reward`.
        progress: called after each optimiser step.
        centring: see `PairwiseReward`.
        reference: pairs over whose answers the mean reward shall be zero; all pairs by default.

    Raises:
        TrainingError: there are no pairs, or training diverged.
        DataError: an answer is empty or a label not a probability.
        ModelError: the start cannot be loaded, or has no form with a scalar head.
    """
    if not pairs:
        raise TrainingError("there is nothing to train on: no pairs")
    processes.join()
    folder, base = Path(out), hf.load(start.base, adapters=start.adapters, plain=True)
    tokeniser = Tokeniser.of(base, settings.max_length)
    rows = tokeniser.pairs(pairs)
    base.net = trainable(sequence_net(base, tokeniser.end), settings, task="SEQ_CLS")
    net = RewardNet(base.net)
    curve, seconds = fit(
        net,
        PairwiseReward(centring),
        rows,
        settings,
        out=folder,
        job=[start, centring, pairs],
        progress=progress,
    )
    model = _centred(net, tokeniser, tokeniser.pairs(reference) if reference else rows)
    state = whole_state(net.net)
    processes.written(lambda: save_reward(model, start, folder, state))
    tokens = round(settings.epochs * sum(len(row.a) + len(row.b) for row in rows))
    checkpoint = checkpoint_at(folder, start, adapter=settings.lora_rank > 0)
    return Trained(checkpoint, curve, tokens, seconds)


def _centred(net: RewardNet, tokeniser: Tokeniser, pairs: Sequence[TokenPair]) -> RewardModel:
    model = RewardModel(net, replace(tokeniser), mean=0.0, identity="unsaved")
    sample = pairs[:: -(-2 * len(pairs) // _MEAN_OVER)]
    rows = [row for pair in sample for row in (pair.a, pair.b)]
    # A forward pass of a network in shards is the work of all, batch by batch.
    whole = not in_shards(net)
    values = processes.shared_out(rows, model.rewards) if whole else model.rewards(rows)
    model.mean = sum(values) / len(values)
    return model
