"""Training a policy on data that is there: imitation (SFT) and direct preference (DPO, IPO).

Owns the order of things: load, tokenise, measure the reference, fit, save. A start checkpoint and
examples come in, a checkpoint and a loss curve go out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from charter.errors import TrainingError
from charter.models.hf import HFModel
from charter.models.scoring import batches
from charter.records import Checkpoint
from charter.training import processes
from charter.training.crew import together
from charter.training.examples import ChatExample, PairExample, Tokeniser, TokenPair, TokenRow
from charter.training.gathered import GatheredLM
from charter.training.loop import Trained, fit
from charter.training.objectives import DirectPreference, Imitation, lay_out_rows
from charter.training.packing import Pack, packed
from charter.training.policy import load_policy, precision, save_policy
from charter.training.quiet import quiet
from charter.training.settings import DPOSettings, TrainSettings
from charter.training.watch import Progress, silent

__all__ = ["Trained", "answer_logprobs", "train_dpo", "train_sft"]


@together(progress=silent)
@quiet()
def train_sft(
    start: Checkpoint,
    examples: Sequence[ChatExample],
    settings: TrainSettings,
    out: str | Path,
    progress: Progress = silent,
    *,
    packing: bool = False,
) -> Trained:
    """Train the start model to give these answers; prompts carry no loss.

    Args:
        start: the model to begin with.
        examples: conversations and answers.
        settings: see `TrainSettings`.
        out: folder of the new checkpoint.
        progress: called after each optimiser step.
        packing: put several examples into a row of `max_length` tokens. A batch then has
            `batch_size` rows, each with more answers in it: fewer steps an epoch.

    Raises:
        TrainingError: there are no examples, or training diverged.
        DataError: an answer is empty.
        ModelError: the start cannot be loaded.
    """
    _require(examples, "examples")
    processes.join()
    model = load_policy(start, settings)
    rows = Tokeniser.of(model, settings.max_length).chat(examples)
    net = GatheredLM(model.net)
    job = [start, examples, packing]
    laid: Sequence[TokenRow] | Sequence[Pack] = rows
    if packing:
        laid = packed(rows, settings.max_length)
    curve, seconds = fit(
        net, Imitation(), laid, settings, out=Path(out), job=job, progress=progress
    )
    tokens = round(settings.epochs * sum(len(row) for row in rows))
    return Trained(save_policy(model, start, Path(out)), curve, tokens, seconds)


@together(progress=silent)
@quiet()
def train_dpo(
    start: Checkpoint,
    pairs: Sequence[PairExample],
    settings: TrainSettings,
    dpo: DPOSettings,
    out: str | Path,
    progress: Progress = silent,
) -> Trained:
    """Train the start model on labelled pairs, itself being the reference.

    The reference's log-likelihoods are measured once before the first step, with the net that is
    about to be trained, so there is never a second model in memory.

    Args:
        start: the model to begin with, and to stay close to.
        pairs: conversations, two answers each, and soft labels.
        settings: see `TrainSettings`.
        dpo: which loss; see `DPOSettings`.
        out: folder of the new checkpoint.
        progress: called after each optimiser step.

    Raises:
        TrainingError: there are no pairs, or training diverged.
        DataError: an answer is empty or a label not a probability.
        ModelError: the start cannot be loaded.
    """
    _require(pairs, "pairs")
    processes.join()
    model = load_policy(start, settings)
    rows = Tokeniser.of(model, settings.max_length).pairs(pairs)
    net = GatheredLM(model.net)
    started = time.monotonic()
    if not dpo.reference_free:
        rows = _with_reference(net, rows, model)
    measured = time.monotonic() - started
    job = [start, dpo, pairs]
    curve, seconds = fit(
        net, DirectPreference(dpo), rows, settings, out=Path(out), job=job, progress=progress
    )
    tokens = round(settings.epochs * sum(len(row.a) + len(row.b) for row in rows))
    return Trained(save_policy(model, start, Path(out)), curve, tokens, measured + seconds)


@torch.no_grad()
def answer_logprobs(
    net: GatheredLM, rows: Sequence[TokenRow], *, device: torch.device, max_tokens: int
) -> list[float]:
    """Log-likelihood of each row's answer in nats, in length-sorted batches.

    Args:
        net: switched to evaluation, so dropout is off.
        rows: prompts and answers.
        device: where the net lives.
        max_tokens: tokens of a batch, padding included.
    """
    net.eval()
    found = [0.0] * len(rows)
    for group in batches([len(row) for row in rows], max_tokens=max_tokens):
        batch = lay_out_rows([rows[index] for index in group])
        with precision(device):
            sums, _ = net(**{name: tensor.to(device) for name, tensor in batch.items()})
        for index, value in zip(group, sums.tolist(), strict=True):
            found[index] = value
    return found


def _with_reference(net: GatheredLM, pairs: list[TokenPair], model: HFModel) -> list[TokenPair]:
    def measure(rows: Sequence[TokenRow]) -> list[float]:
        return answer_logprobs(net, rows, device=model.device, max_tokens=model.batch_tokens)

    values = processes.shared_out([row for pair in pairs for row in (pair.a, pair.b)], measure)
    return [
        replace(pair, ref_a=values[2 * index], ref_b=values[2 * index + 1])
        for index, pair in enumerate(pairs)
    ]


def _require(examples: Sequence[object], what: str) -> None:
    if not examples:
        raise TrainingError(f"there is nothing to train on: no {what}")
