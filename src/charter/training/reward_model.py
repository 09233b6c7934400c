"""A preference model: a language model's backbone with a scalar head, and how it lies on disk.

Owns building it from a policy checkpoint, saving, loading and scoring. Knows no loss.

    FOLDER/
    ├── adapter_model.safetensors   adapter and score head (or a whole model.safetensors)
    ├── tokenizer files
    └── reward.json                 start checkpoint, mean reward, end-of-turn id, length

Shape suffixes: B rows, T tokens, D hidden size.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
)

from charter.errors import ModelError, boundary
from charter.models import hf
from charter.models.hf import HFModel
from charter.models.scoring import batches
from charter.records import Checkpoint, Prompt, Record, Scored
from charter.store import write_atomic
from charter.training.examples import Tokeniser, TokenRow
from charter.training.gathered import blocks, plain
from charter.training.objectives import lay_out_rows
from charter.training.policy import precision, save_weights
from charter.training.quiet import quiet
from charter.training.shards import State

_CARD = "reward.json"
_LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, AttributeError, SafetensorError)


class RewardCard(Record, frozen=True):
    """What stands beside the weights of a preference model."""

    start: Checkpoint
    """The model whose backbone the adapter sits on."""
    adapter: bool
    """Whether the folder holds an adapter and a head, or a whole model."""
    mean: float
    """Mean raw reward of training answers: scores are given relative to it."""
    end: int
    """Id that closes an answer; the reward is read there."""
    max_length: int
    """Tokens of prompt and answer together."""


class RewardNet(nn.Module):
    """Raw reward of each row, read at its last token."""

    def __init__(self, net: PreTrainedModel | PeftModel) -> None:
        super().__init__()
        self.net = net

    @property
    def _no_split_modules(self) -> Any:
        return blocks(self.net)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Rewards, float32 [B], of rows [B, T] padded on the right.

        The head meets one position a row. transformers' own forward finds the same position, as
        long as the padding id is not the id that ends an answer; see `sequence_net`.
        """
        hidden_BTD = plain(self.net).base_model(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False
        )[0]
        rows = torch.arange(len(input_ids), device=input_ids.device)
        last_BD = hidden_BTD[rows, attention_mask.sum(1) - 1]
        # Summed over the one output: FSDP would have to warn of a view of it.
        rewards: torch.Tensor = plain(self.net).score(last_BD).sum(1)
        return rewards.float()


class RewardModel:
    """A trained preference model. Satisfies `records.Scorer`: higher is better, 0 is average.

    Args:
        net: in evaluation mode.
        tokeniser: with the length and the end token it was trained with.
        mean: raw reward that counts as zero.
        identity: name and revision.
        batch_tokens: tokens of a batch, padding included.
    """

    def __init__(
        self,
        net: RewardNet,
        tokeniser: Tokeniser,
        *,
        mean: float,
        identity: str,
        batch_tokens: int = 3072,
    ) -> None:
        self.net, self.tokeniser, self.mean = net.eval(), tokeniser, mean
        self._identity, self.batch_tokens = identity, batch_tokens

    @property
    def identity(self) -> str:
        """Name and revision."""
        return self._identity

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        """Centred reward of each answer; an empty one has none."""
        rows = {
            index: self.tokeniser.row(self.tokeniser.model.render(prompt.messages), answer.strip())
            for index, (prompt, answer) in enumerate(exchanges)
            if answer.strip()
        }
        values = dict(zip(rows, self.rewards(list(rows.values())), strict=True))
        return [
            Scored(values[index] - self.mean) if index in values else Scored(None, "empty answer")
            for index in range(len(exchanges))
        ]

    @torch.inference_mode()
    def rewards(self, rows: Sequence[TokenRow]) -> list[float]:
        """Raw rewards of tokenised rows, in length-sorted batches."""
        device = self.tokeniser.model.device
        found = [0.0] * len(rows)
        for group in batches([len(row) for row in rows], max_tokens=self.batch_tokens):
            batch = lay_out_rows([rows[index] for index in group])
            with precision(device):
                values = self.net(batch["input_ids"].to(device), batch["attention_mask"].to(device))
            for index, value in zip(group, values.tolist(), strict=True):
                found[index] = value
        return found


def sequence_net(model: HFModel, end: int) -> PreTrainedModel:
    """A sequence classifier with one output around the backbone of `model`, which it takes over.

    The score head starts at zero: before training, all answers are worth the same.

    Args:
        model: with its adapters merged.
        end: id that closes an answer; the classifier's padding id is chosen to differ from it.

    Raises:
        ModelError: transformers has no sequence classifier for this architecture.
    """
    config = copy.deepcopy(model.net.config)
    config.num_labels, config.pad_token_id = 1, 0 if end != 0 else 1
    doing = f"building a preference model on {model.identity}"
    # On "meta" nothing is allocated: the backbone is there already.
    with boundary(ModelError, doing, catch=_LOAD_ERRORS), torch.device("meta"):
        net: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    if not isinstance(getattr(net, "score", None), nn.Linear):
        raise ModelError(f"{doing} failed: {type(net).__name__} has no linear score head")
    setattr(net, net.base_model_prefix, model.net.base_model)
    net.score = nn.Linear(config.hidden_size, 1, bias=False).to(model.device, model.net.dtype)
    nn.init.zeros_(net.score.weight)
    return net


def save_reward(
    model: RewardModel, start: Checkpoint, out: Path, state: State | None = None
) -> None:
    """Write weights, tokenizer and, last, the card; `state` as in `policy.save_weights`."""
    net, tokeniser = model.net.net, model.tokeniser
    save_weights(net, out, state)
    tokeniser.model.tokenizer.save_pretrained(out)
    adapter = isinstance(net, PeftModel)
    card = RewardCard(start, adapter, model.mean, tokeniser.end, tokeniser.max_length)
    write_atomic(out / _CARD, msgspec.json.encode(card))


@quiet()
def load_reward(path: str | Path) -> RewardModel:
    """Load a preference model that `train_preference` wrote.

    Raises:
        ModelError: the folder does not hold one, or what it builds on is gone.
    """
    folder = Path(path)
    doing = f"loading preference model {str(path)!r}"
    with boundary(ModelError, doing, catch=(*_LOAD_ERRORS, msgspec.MsgspecError)):
        card = msgspec.json.decode((folder / _CARD).read_bytes(), type=RewardCard)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        net = _weights(folder, card)
    identity = f"preference@{hf.revision(folder)}"
    tokeniser = Tokeniser(HFModel(net, tokenizer, identity), card.max_length, card.end)
    return RewardModel(RewardNet(net), tokeniser, mean=card.mean, identity=identity)


def _weights(folder: Path, card: RewardCard) -> PreTrainedModel:
    if card.adapter:
        start = hf.load(card.start.base, adapters=card.start.adapters, plain=True)
        net = PeftModel.from_pretrained(sequence_net(start, card.end), str(folder))
        merged: PreTrainedModel = net.merge_and_unload()
        return merged
    whole: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32
    )
    whole.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))  # type: ignore[arg-type]
    return whole
