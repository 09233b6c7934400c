"""Models by checkpoint, loaded when they are first asked for something.

Owns how many sit in memory at once, and which name means a model in this process, through
transformers or vLLM, and which one behind an endpoint. A stage that finds all of its answers in
the cache, or has finished before, never loads the model that it names.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from contextlib import ExitStack

from charter.cache import CallCache
from charter.errors import InputError
from charter.models import hf
from charter.models.endpoint import EndpointConfig, address, is_remote
from charter.models.providers import RemoteModel, connect
from charter.models.spend import Ledger
from charter.models.vllm import VLLMModel
from charter.models.vllm_config import PREFIX, in_process
from charter.records import Checkpoint, ChoiceModel, Completion, Model, Request, digest


class Models:
    """Opens models when they are first asked for something, and keeps the last two local ones.

    Args:
        keep: local models held in memory.
        endpoint: how remote models are called.
        cache: where the answers of remote models are kept, one by one as they arrive.
    """

    def __init__(
        self,
        keep: int = 2,
        *,
        endpoint: EndpointConfig | None = None,
        cache: CallCache | None = None,
    ) -> None:
        self.keep, self.endpoint, self.cache = keep, endpoint or EndpointConfig(), cache
        self._loaded: dict[str, hf.HFModel] = {}
        self._remote: dict[str, RemoteModel] = {}
        self._vllm: dict[str, VLLMModel] = {}
        self._open = ExitStack()
        self.ledger = Ledger(self.endpoint, cache.spent() if cache else None)

    def get(self, checkpoint: Checkpoint) -> Model:
        """The model of a checkpoint: loaded into this process, or connected to.

        One that vLLM runs is loaded at its first call.

        Raises:
            InputError: the name of a remote model cannot be read, or its key is not set.
            ModelError: it cannot be found or loaded.
        """
        if is_remote(checkpoint.base):
            return self._connected(checkpoint)
        if in_process(checkpoint.base):
            return self._in_vllm(checkpoint)
        return self.local(checkpoint)

    def local(self, checkpoint: Checkpoint) -> hf.HFModel:
        """The same for those who need its weights or activations; other models are refused."""
        if is_remote(checkpoint.base) or in_process(checkpoint.base):
            kind = "remote" if is_remote(checkpoint.base) else "run by vLLM"
            raise InputError(
                f"model {checkpoint.base!r} is {kind}; its weights are needed here",
                expected="embedded, a hub name or a folder",
            )
        key = digest(checkpoint)
        model = self._loaded.pop(key, None)
        if model is None:
            while len(self._loaded) >= self.keep:
                self._loaded.pop(next(iter(self._loaded)))
            model = hf.load(checkpoint.base, adapters=checkpoint.adapters)
        self._loaded[key] = model
        return model

    def choices(self, checkpoint: Checkpoint) -> ChoiceModel:
        """The same for those who need likelihoods of options; a model without them is refused."""
        model = self.get(checkpoint)
        if not isinstance(model, ChoiceModel):
            raise InputError(
                f"{checkpoint.base!r} gives no log-probabilities",
                expected="the judge `votes`, or a model that gives them",
            )
        return model

    def lazily(self, checkpoint: Checkpoint) -> LazyModel:
        """The model of a checkpoint, loaded at its first call."""
        return LazyModel(self, checkpoint)

    def release(self) -> None:
        """Let local models go, which are loaded again if asked: training loads its own."""
        self._loaded.clear()
        for model in self._vllm.values():
            model.close()
        gc.collect()  # networks hold cycles

    def close(self) -> None:
        """Close the connections to remote models; local ones are just forgotten."""
        self.release()
        self._remote.clear()
        self._vllm.clear()
        self._open.close()

    def _connected(self, checkpoint: Checkpoint) -> RemoteModel:
        if checkpoint.adapters:
            raise InputError(f"adapters cannot be merged into {checkpoint.base!r}, which is remote")
        model = self._remote.get(checkpoint.base)
        if model is None:
            model = connect(
                address(checkpoint.base), self.endpoint, ledger=self.ledger, cache=self.cache
            )
            self._remote[checkpoint.base] = model
            self._open.callback(model.close)
        return model

    def _in_vllm(self, checkpoint: Checkpoint) -> VLLMModel:
        if checkpoint.adapters:
            raise InputError(f"adapters cannot be merged into {checkpoint.base!r}, run by vLLM")
        name = checkpoint.base.removeprefix(PREFIX)
        if name not in self._vllm:
            self._vllm[name] = VLLMModel(name, self.endpoint.vllm, cache=self.cache)
        return self._vllm[name]


class LazyModel:
    """A `Model` that is loaded at its first call."""

    def __init__(self, models: Models, checkpoint: Checkpoint) -> None:
        self.models, self.checkpoint = models, checkpoint

    @property
    def identity(self) -> str:
        """Name and revision."""
        return self.models.get(self.checkpoint).identity

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """See `records.Model`."""
        return self.models.get(self.checkpoint).generate(requests)
