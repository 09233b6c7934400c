"""A causal LM held in this process through transformers: text, option likelihoods, activations.

Owns: loading (embedded, hub name or folder, with or without adapters), chat rendering, and
batching. The token loop is `generation`, the prefix sharing is `scoring`.
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
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from safetensors import SafetensorError
from transformers.utils import logging

from charter.errors import ModelError, boundary
from charter.models import embedded
from charter.models.generation import TokenRequest, sample
from charter.models.scoring import Tree, batches, lay_out
from charter.records import Completion, Message, Request

_FOREIGN = r"(transformers|peft|trl|accelerate)(\.|$)"
_LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)
_MARK = "\u241f"
"""Stands for a message's text while the chat template is laid out around it."""


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
        """Token ids of a conversation in the model's own chat format.

        Args:
            messages: the conversation.
            open_answer: end with the header of an assistant turn, so that an answer may follow.

        A message that spells out a control token cannot end its turn: its text stays text.
        """
        if any(token in m.content for m in messages for token in self._control_tokens()):
            return self._ids(self._pieces(messages, open_answer=open_answer))
        turns = [{"role": m.role, "content": m.content} for m in messages]
        ids = self.tokenizer.apply_chat_template(
            turns, add_generation_prompt=open_answer, return_dict=False
        )
        return [int(token) for token in ids]  # type: ignore[arg-type]

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text, no special tokens added or recognised.

        Untrusted text that spells out a control token must stay text.
        """
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        return [int(token) for token in encoded["input_ids"]]

    def end_ids(self) -> list[int]:
        """Tokens that end an answer."""
        eos = getattr(self.net.generation_config, "eos_token_id", None)
        ids = eos if isinstance(eos, list) else [eos]
        return [int(i) for i in {*ids, self.tokenizer.eos_token_id} if i is not None]

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion a request, in order; rows of like length are sampled together."""
        rows = [TokenRequest(self.render(r.messages), r.sampling, r.seed) for r in requests]
        order = sorted(range(len(rows)), key=lambda i: (len(rows[i].ids), i))
        done: dict[int, Completion] = {}
        for start in range(0, len(order), self.batch_rows):
            group = order[start : start + self.batch_rows]
            results = sample(self.net, [rows[i] for i in group], end_ids=self.end_ids())
            for index, result in zip(group, results, strict=True):
                text = str(self.tokenizer.decode(result.ids, skip_special_tokens=True))
                done[index] = Completion(
                    text.strip(), len(result.ids), "stop" if result.ended else "length"
                )
        return [done[index] for index in range(len(rows))]

    @torch.inference_mode()
    def choice_logprobs(
        self, prefix: Sequence[Message], suffixes: Sequence[str], options: Sequence[str]
    ) -> list[list[float]]:
        """See `records.ChoiceModel`; all suffixes share one pass over the prefix."""
        *stem_pieces, close_piece = self._pieces(prefix)
        stem, close = self._ids(stem_pieces), self._ids([close_piece])
        tree = Tree(tuple(stem), tuple(tuple(self.encode(s) + close) for s in suffixes))
        batch = lay_out([tree], self.device)
        ends = [span.stop - 1 for span in tree.spans()]
        hidden = self.backbone()(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            attention_mask=batch.attention_mask,
            use_cache=False,
        ).last_hidden_state[0, ends]
        logits = self.net.get_output_embeddings()(hidden).float().log_softmax(-1)
        columns = [self.encode(option)[0] for option in options]
        return [[float(row[c]) for c in columns] for row in logits]

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

    def _pieces(
        self, messages: Sequence[Message], *, open_answer: bool = True
    ) -> list[tuple[str, bool]]:
        """The rendered conversation cut at its messages: (text, is it the template's own?).

        Text of the template and of messages takes turns; the template's closes the list.
        """
        turns = [{"role": m.role, "content": f"{_MARK}{i}{_MARK}"} for i, m in enumerate(messages)]
        text = str(
            self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=open_answer
            )
        )
        parts = text.split(_MARK)
        return [
            (messages[int(part)].content, False) if place % 2 else (part, True)
            for place, part in enumerate(parts)
        ]

    def _ids(self, pieces: Sequence[tuple[str, bool]]) -> list[int]:
        """Token ids of pieces; control tokens are recognised in the template's own text only."""
        controls = self._control_tokens()
        if any(token in text for text, own in pieces if not own for token in controls):
            return [i for text, own in pieces for i in self._ids_of_piece(text, own)]
        # In one go, as the model was trained: a token may reach over the edge of a message.
        return self._ids_of_piece("".join(text for text, _ in pieces), True)

    def _ids_of_piece(self, text: str, own: bool) -> list[int]:
        if not own:
            return self.encode(text)
        return [int(i) for i in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def _control_tokens(self) -> list[str]:
        added = self.tokenizer.added_tokens_decoder.values()
        return [str(token) for token in added if token.special]


def load(
    name: str,
    *,
    adapters: Sequence[str | Path] = (),
    dtype: torch.dtype = torch.float32,
    trust_remote_code: bool = False,
    **options: Any,
) -> HFModel:
    """Load a model for inference.

    Args:
        name: `embedded`, a hub name, or a folder.
        adapters: PEFT adapter folders, merged into the weights in this order.
        dtype: weights' type; float32 on the CPU.
        trust_remote_code: run code that came with the weights. Off unless asked for by name.
        options: passed to `HFModel` (`batch_rows`, `batch_tokens`).

    Raises:
        ModelError: it cannot be found or loaded.
    """
    source = embedded.folder() if name == embedded.NAME else Path(name)
    where = str(source) if source.exists() else name
    with boundary(ModelError, f"loading model {name!r}", catch=_LOAD_ERRORS), quiet_loading():
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=trust_remote_code)
        net: PreTrainedModel | PeftModel = AutoModelForCausalLM.from_pretrained(
            where, dtype=dtype, trust_remote_code=trust_remote_code
        )
        for adapter in adapters:
            net = PeftModel.from_pretrained(net, str(adapter)).merge_and_unload()
    if torch.cuda.is_available():
        net = net.cuda()
    identity = f"{name}@{revision(where)}"
    identity += "".join(f"+{revision(adapter)}" for adapter in adapters)
    return HFModel(net.eval(), tokenizer, identity, **options)


def revision(folder: str | Path) -> str:
    """Digest of a model folder's weights; a hub name that is not a folder gives its own digest."""
    root, state = Path(folder), hashlib.sha256()
    if not root.is_dir():
        return hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    for file in sorted([*root.glob("*.safetensors"), *root.glob("*config.json")]):
        state.update(file.name.encode())
        if file.suffix == ".json":
            state.update(json.dumps(json.loads(file.read_text()), sort_keys=True).encode())
        else:
            with file.open("rb") as stream:
                for block in iter(lambda: stream.read(1 << 22), b""):
                    state.update(block)
    return state.hexdigest()[:12]


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
