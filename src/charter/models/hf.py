"""A causal LM held in this process through transformers: text, option likelihoods, activations.

Owns: loading (embedded, hub name or folder, with or without adapters), and batching. The token
loop is `generation`, the prefix sharing is `scoring`, the chat format is `chat`.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from charter.errors import ModelError, boundary
from charter.models import embedded
from charter.models.chat import ChatFormat
from charter.models.frozen import pack
from charter.models.generation import TokenRequest, sample
from charter.models.options import Options
from charter.models.scoring import Tree, batches, lay_out
from charter.records import Completion, Message, Request

_FOREIGN = r"(transformers|peft|trl|accelerate)(\.|$)"
_NOT_SETTINGS = {"transformers_version", "peft_version", "base_model_name_or_path", "_name_or_path"}
"""Entries of a config that change with the libraries' versions or with the folder."""
_TYPICAL_TOKENS = 512
"""Tokens of prompt and answer that a sampled row may have before fewer rows go together."""
_LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)


class HFModel:
    """A local causal LM with its tokenizer. Satisfies `records.Model` and `records.ChoiceModel`.

    Args:
        net: the network, in eval mode.
        tokenizer: with a chat template.
        identity: name and revision digest, as it will stand in records.
        batch_rows: rows sampled together.
        batch_tokens: tokens of a scoring batch.
    """

    def __init__(
        self,
        net: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        identity: str,
        *,
        batch_rows: int = 48,
        batch_tokens: int = 3072,
    ) -> None:
        self.net, self.tokenizer, self._identity = net, tokenizer, identity
        self.chat = ChatFormat(tokenizer)
        self.batch_rows, self.batch_tokens = batch_rows, batch_tokens

    @property
    def identity(self) -> str:
        """Name and revision."""
        return self._identity

    @property
    def hidden_size(self) -> int:
        """Width of the residual stream."""
        return int(self.net.config.hidden_size)

    @property
    def layers(self) -> int:
        """Number of transformer blocks."""
        return int(self.net.config.num_hidden_layers)

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return self.net.device

    def render(self, messages: Sequence[Message], *, open_answer: bool = True) -> list[int]:
        """Token ids of a conversation in the model's own chat format; see `ChatFormat.render`."""
        return self.chat.render(messages, open_answer=open_answer)

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text, no special tokens added or recognised."""
        return self.chat.encode(text)

    def end_ids(self) -> list[int]:
        """Tokens that end an answer."""
        eos = getattr(self.net.generation_config, "eos_token_id", None)
        ids = eos if isinstance(eos, list) else [eos]
        return [int(i) for i in {*ids, self.tokenizer.eos_token_id} if i is not None]

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion a request, in order; rows of like length are sampled together."""
        rows = [TokenRequest(self.render(r.messages), r.sampling, r.seed) for r in requests]
        done: dict[int, Completion] = {}
        for group in self._groups([len(r.ids) + r.sampling.max_tokens for r in rows]):
            results = sample(self.net, [rows[i] for i in group], end_ids=self.end_ids())
            for index, result in zip(group, results, strict=True):
                text = str(self.tokenizer.decode(result.ids, skip_special_tokens=True))
                done[index] = Completion(
                    text.strip(), len(result.ids), "stop" if result.ended else "length"
                )
        return [done[index] for index in range(len(rows))]

    def _groups(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Rows sampled together: few enough, and together short enough for the memory at hand."""
        room = self.batch_rows * _TYPICAL_TOKENS
        for group in batches(lengths, max_tokens=room):
            for start in range(0, len(group), self.batch_rows):
                yield group[start : start + self.batch_rows]

    @torch.inference_mode()
    def choice_logprobs(
        self, prefix: Sequence[Message], suffixes: Sequence[str], options: Sequence[str]
    ) -> list[list[float]]:
        """See `records.ChoiceModel`; all suffixes share one pass over the prefix."""
        menu = Options([self.encode(option) for option in options])
        stem, asked = self.chat.questions(prefix, suffixes)
        begun = menu.stems
        branches = tuple((*question, *tokens) for question in asked for tokens in begun)
        rows = torch.split(self._next_logprobs(Tree(tuple(stem), branches)), len(begun))
        return [menu.score(dict(zip(begun, row, strict=True))) for row in rows]

    def _next_logprobs(self, tree: Tree) -> torch.Tensor:
        """Log-probabilities of the token after every branch, float32 [branches, vocabulary]."""
        batch = lay_out([tree], self.device)
        ends = [span.stop - 1 for span in tree.spans()]
        hidden = self.backbone()(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            attention_mask=batch.attention_mask,
            use_cache=False,
        ).last_hidden_state[0, ends]
        logits: torch.Tensor = self.net.get_output_embeddings()(hidden).float().log_softmax(-1)
        return logits

    @torch.inference_mode()
    def activations(
        self,
        trees: Sequence[Tree],
        reduce: Callable[[tuple[torch.Tensor, ...], int, slice], torch.Tensor],
    ) -> list[list[torch.Tensor]]:
        """Hidden states of every branch of every tree, reduced as they are made.

        Args:
            trees: rows to run.
            reduce: called with the hidden states of all layers (each [B, T, D]), the row, and the
                span of one branch; what it returns is kept.

        Returns:
            for each tree, one reduced tensor a branch.
        """
        kept: dict[int, list[torch.Tensor]] = {}
        for group in batches([len(tree) for tree in trees], max_tokens=self.batch_tokens):
            batch = lay_out([trees[i] for i in group], self.device)
            states = self.backbone()(
                input_ids=batch.input_ids,
                position_ids=batch.position_ids,
                attention_mask=batch.attention_mask,
                use_cache=False,
                output_hidden_states=True,
            ).hidden_states
            for row, index in enumerate(group):
                kept[index] = [reduce(states, row, span) for span in trees[index].spans()]
        return [kept[index] for index in range(len(trees))]

    def backbone(self) -> Any:
        """The network without its vocabulary head; returns hidden states."""
        net = self.net.get_base_model() if isinstance(self.net, PeftModel) else self.net
        return net.base_model


def load(
    name: str,
    *,
    adapters: Sequence[str | Path] = (),
    dtype: torch.dtype = torch.float32,
    trust_remote_code: bool = False,
    plain: bool = False,
    **options: Any,
) -> HFModel:
    """Load a model.

    Args:
        name: `embedded`, a hub name, or a folder.
        adapters: PEFT adapter folders, merged into the weights in this order.
        dtype: weights' type; float32 on the CPU.
        trust_remote_code: run code that came with the weights. Off unless asked for by name.
        plain: leave the linear layers as they are, to train the model or to merge into it.
            Otherwise it is for inference only: no weight has a gradient, and `frozen` speeds it.
        options: passed to `HFModel` (`batch_rows`, `batch_tokens`).

    Raises:
        ModelError: it cannot be found or loaded.
    """
    where = place(name)
    with boundary(ModelError, f"loading model {name!r}", catch=_LOAD_ERRORS), quiet_loading():
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=trust_remote_code)
        net: PreTrainedModel | PeftModel = AutoModelForCausalLM.from_pretrained(
            where, dtype=dtype, trust_remote_code=trust_remote_code, use_safetensors=True
        )
        for adapter in adapters:
            net = PeftModel.from_pretrained(net, str(adapter)).merge_and_unload()
    if torch.cuda.is_available():
        net = nn.Module.cuda(net)
    if not plain:
        pack(net.requires_grad_(False))
    identity = f"{name}@{revision(where)}"
    identity += "".join(f"+{revision(adapter)}" for adapter in adapters)
    return HFModel(net.eval(), tokenizer, identity, **options)


def place(name: str) -> str:
    """The folder of `embedded` or of a folder's name; a hub name stays what it is.

    Raises:
        ModelError: the embedded model is not installed.
    """
    source = embedded.folder() if name == embedded.NAME else Path(name)
    return str(source) if source.exists() else name


def revision(folder: str | Path) -> str:
    """Digest of a model folder: weights and settings, not where it lies or what wrote it.

    A folder that says what it was converted from has the digest of that; a hub name that is not a
    folder gives its own.
    """
    root, state = Path(folder), hashlib.sha256()
    if not root.is_dir():
        return hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    if (root / embedded.SOURCE).exists():
        return (root / embedded.SOURCE).read_text()[:12]
    for file in sorted([*root.glob("*.safetensors"), *root.glob("*config.json")]):
        state.update(file.name.encode())
        state.update(_settings(file) if file.suffix == ".json" else _sha256(file))
    return state.hexdigest()[:12]


def _settings(file: Path) -> bytes:
    kept = {k: v for k, v in json.loads(file.read_text()).items() if k not in _NOT_SETTINGS}
    return json.dumps(kept, sort_keys=True).encode()


def _sha256(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Silence the libraries' progress bars, and deprecations among themselves."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module=_FOREIGN)
            yield
    finally:
        logging.set_verbosity(level)
