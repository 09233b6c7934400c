"""A causal LM run by vLLM inside this process: text and option likelihoods. For nodes with GPUs.

Owns what is asked of vLLM, and counting the tokens that its prefix cache has saved. Everything
about conversations and options is shared with the `hf` model: the same ids go in, and the same
arithmetic comes after. vLLM is an optional extra: it is imported by name, at the first call, so a
process that only names the model (such as one that hands it to Ray's workers) takes no GPU.

Prompts that begin alike are asked side by side. Likelihoods are read from the first token of an
answer: vLLM's own `prompt_logprobs` would pass its prefix cache by.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import msgspec
from transformers import AutoTokenizer

from charter.cache import CallCache
from charter.errors import CallFailed, ModelError, boundary
from charter.models import hf
from charter.models.chat import ChatFormat
from charter.models.failures import Usage
from charter.models.options import Options
from charter.models.vllm_config import PREFIX, VLLMConfig
from charter.records import Completion, Message, Request

_ENVIRONMENT = {
    # The engine in this very process: its schedule is the same each time, and it ends with us.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",  # it calls nobody
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # what a command prints is for its caller
}
_LISTED = 20
"""Likeliest tokens that are read at once; vLLM lists no more unless it is told to."""
_TOO_LONG = "too_long"
_RUN_ERRORS = (RuntimeError, ValueError)
_LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, AssertionError)


class VLLMModel:
    """Satisfies `records.Model` and `records.ChoiceModel`. Loaded at its first call.

    Args:
        name: what vLLM runs: `embedded`, a hub name or a folder, without `vllm:`.
        config: how it is loaded.
        cache: where tokens are counted, if anywhere.

    Raises:
        ModelError: the model's tokenizer cannot be found or loaded.
    """

    def __init__(self, name: str, config: VLLMConfig, *, cache: CallCache | None = None) -> None:
        self.name, self.config, self.cache = name, config, cache
        self._where = hf.place(name)
        with boundary(ModelError, f"loading model {name!r}", catch=_LOAD_ERRORS):
            self._tokenizer = AutoTokenizer.from_pretrained(self._where)
        self.chat = ChatFormat(self._tokenizer)

    @cached_property
    def identity(self) -> str:
        """Name, revision, and the weights' type if it is not the model's own."""
        dtype = "" if self.config.dtype == "auto" else f"-{self.config.dtype}"
        return f"{PREFIX}{self.name}@{hf.revision(self._where)}{dtype}"

    @property
    def concurrency(self) -> int:
        """One call at a time: vLLM makes its own batches of what is in it."""
        return 1

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion a request, in order; `too_long` for a prompt that leaves no room.

        Raises:
            ModelError: vLLM is not installed, cannot load the model, or fails.
        """
        rows = [self.chat.render(r.messages) for r in requests]
        return [self._completion(o) for o in self._ask(rows, map(self._sampled, requests))]

    def choice_logprobs(
        self, prefix: Sequence[Message], suffixes: Sequence[str], options: Sequence[str]
    ) -> list[list[float]]:
        """See `records.ChoiceModel`; the suffixes share the prefix through vLLM's cache.

        Raises:
            CallFailed: `too_long`, a suffix leaves no room for an answer.
            ModelError: as for `generate`.
        """
        menu = Options([self.chat.encode(option) for option in options])
        stem, asked = self.chat.questions(prefix, suffixes)
        begun = menu.stems
        rows = [[*stem, *question, *tokens] for question in asked for tokens in begun]
        after = iter(self._next_logprobs(rows, [menu.following(t) for t in begun] * len(asked)))
        return [menu.score({tokens: next(after) for tokens in begun}) for _ in asked]

    def close(self) -> None:
        """Let go of the engine; the next call starts another one."""
        self.__dict__.pop("_engine", None)

    @cached_property
    def _library(self) -> Any:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        with boundary(
            ModelError, "loading vLLM (pip install 'charter-cai[vllm]')", catch=(ImportError,)
        ):
            return importlib.import_module("vllm")

    @cached_property
    def _engine(self) -> Any:
        make = self._library.LLM
        with boundary(ModelError, f"loading model {self.name!r} in vLLM", catch=_LOAD_ERRORS):
            return make(
                model=self._where,
                seed=0,  # every request brings its own
                enable_prefix_caching=True,
                logprobs_mode="raw_logprobs",  # the model's, before anything is forbidden
                **msgspec.structs.asdict(self.config),
            )

    def _next_logprobs(
        self, rows: list[list[int]], wanted: Sequence[Sequence[int]]
    ) -> list[dict[int, float]]:
        """Log-probabilities of the token after each row: the likeliest ones, and those wanted."""
        found = self._first(rows, [None] * len(rows))
        rare = [(i, t) for i, tokens in enumerate(wanted) for t in tokens if t not in found[i]]
        # What is not listed is asked for by its id, as the one token that may be answered.
        listed = self._first([rows[i] for i, _ in rare], [[t] for _, t in rare])
        for (i, token), logprobs in zip(rare, listed, strict=True):
            found[i][token] = logprobs[token]
        return found

    def _first(
        self, rows: list[list[int]], allowed: Sequence[list[int] | None]
    ) -> list[dict[int, float]]:
        """What the first token of an answer might be, and what it is."""
        params = (
            self._library.SamplingParams(
                temperature=0.0,
                max_tokens=1,
                logprobs=_LISTED,
                allowed_token_ids=ids,
                detokenize=False,
            )
            for ids in allowed
        )
        found = []
        for output in self._ask(rows, params):
            if output is None:
                raise CallFailed(_TOO_LONG, f"more than {self._room} tokens")
            listed = output.outputs[0].logprobs[0]
            found.append({int(token): float(entry.logprob) for token, entry in listed.items()})
        return found

    def _ask(self, rows: list[list[int]], params: Iterable[Any]) -> list[Any | None]:
        """What vLLM answers to rows of token ids, in order; None where there is no room."""
        given, room = list(params), self._room
        fitting = [i for i, row in enumerate(rows) if len(row) <= room]
        if not fitting:
            return [None] * len(rows)
        # Rows that begin alike stand side by side: what they share is still in the cache.
        order = sorted(fitting, key=rows.__getitem__)
        prompts, chosen = [{"prompt_token_ids": rows[i]} for i in order], [given[i] for i in order]
        with boundary(ModelError, f"running {self.name!r} in vLLM", catch=_RUN_ERRORS):
            outputs = self._engine.generate(prompts, chosen, use_tqdm=False)
        self._count(outputs)
        answers = dict(zip(order, outputs, strict=True))
        return [answers.get(i) for i in range(len(rows))]

    @property
    def _room(self) -> int:
        """Tokens that a prompt may have: one less than vLLM holds, for the answer."""
        return int(self._engine.llm_engine.model_config.max_model_len) - 1

    def _count(self, outputs: Sequence[Any]) -> None:
        if self.cache is None:
            return
        paid = sum((_usage(output) for output in outputs), Usage())
        spent = (PREFIX + self.name, paid.read, paid.written)
        self.cache.put({}, spent=spent, cached=paid.cached)

    def _sampled(self, request: Request) -> Any:
        sampling = request.sampling
        return self._library.SamplingParams(
            **msgspec.structs.asdict(sampling), seed=request.seed, detokenize=False
        )

    def _completion(self, output: Any | None) -> Completion:
        if output is None:
            return Completion("", 0, "error", _TOO_LONG)
        [answer] = output.outputs
        if answer.finish_reason not in ("stop", "length"):
            return Completion("", 0, "error", "aborted")
        ended = answer.finish_reason == "stop"
        # No stop string is ever given, so an answer that has stopped ends with an end token.
        ids = [*answer.token_ids][: -1 if ended else None]
        text = str(self._tokenizer.decode(ids, skip_special_tokens=True))
        return Completion(text.strip(), len(ids), "stop" if ended else "length")


def _usage(output: Any) -> Usage:
    written = sum(len(answer.token_ids) for answer in output.outputs)
    return Usage(len(output.prompt_token_ids), written, output.num_cached_tokens)
