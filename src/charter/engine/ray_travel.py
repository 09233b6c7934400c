"""How a stage's work travels to a worker: as the function, and the names of what it works with.

A network, a connection or an open database cannot be sent. Each is sent as what it was made from
and is made again at the other end:

    a local model        its name; loaded there, and refused if it is not the same revision
    a model in vLLM      its name and settings; loaded there at its first call, refused likewise
    a remote model       its address and settings; connected there
    `Models`             its settings; it loads what it is asked for
    the call cache       the actor that holds it
    progress bars        nothing: workers tell the driver, the driver tells the user
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import rich.progress
import torch
from ray.cloudpickle import CloudPickler

from charter.cache import CallCache
from charter.engine.mapping import Work
from charter.engine.ray_cache import RemoteCache, RemoteLedger
from charter.errors import ModelError
from charter.models import hf
from charter.models.endpoint import Address, EndpointConfig
from charter.models.loading import Models
from charter.models.providers import RemoteModel, connect
from charter.models.spend import Ledger
from charter.models.vllm import VLLMModel
from charter.models.vllm_config import VLLMConfig

_LOCKS = {type(make()): make for make in (threading.Lock, threading.RLock)}
Made = tuple[Callable[..., Any], tuple[Any, ...]]
"""What makes an object again, and from what."""


def pack(work: Work, keeper_of: Callable[[Path], Any], *, threads: int = 0) -> bytes:
    """A stage's work as bytes, for a `Worker`.

    Args:
        work: a function, with all that it refers to.
        keeper_of: gives the actor that holds the cache at a path.
        threads: of local models in a worker; 0 for as many as here.
    """
    stream = io.BytesIO()
    _Packer(stream, keeper_of, threads or torch.get_num_threads()).dump(work)
    return stream.getvalue()


class _Packer(CloudPickler):  # type: ignore[misc]  # Ray is not followed by the type checker
    def __init__(self, stream: io.BytesIO, keeper_of: Callable[[Path], Any], threads: int) -> None:
        super().__init__(stream)
        self._keeper_of, self._threads = keeper_of, threads

    def reducer_override(self, obj: Any) -> Any:
        """What makes `obj` again, where that is not the usual."""
        return self._remade(obj) or super().reducer_override(obj)

    def _remade(self, obj: Any) -> Made | None:
        match obj:
            case CallCache():
                return RemoteCache, (self._keeper_of(obj.path),)
            case Models():
                return _models, (obj.keep, obj.endpoint, obj.cache, self._threads)
            case hf.HFModel():
                return _loaded, (obj.identity, obj.batch_rows, obj.batch_tokens, self._threads)
            case VLLMModel():
                return _in_vllm, (obj.identity, obj.name, obj.config, obj.cache)
            case rich.progress.Progress():
                return type(None), ()
            case msgspec.json.Decoder():
                return msgspec.json.Decoder, (obj.type,)
            case msgspec.json.Encoder():
                return msgspec.json.Encoder, ()
        if type(obj) in _LOCKS:
            return _LOCKS[type(obj)], ()
        return _remote(obj)


def _remote(obj: Any) -> Made | None:
    """The classes of remote models are known to `providers` only; all have an address."""
    address = None if isinstance(obj, type) else getattr(obj, "address", None)
    if not isinstance(address, Address) or not callable(getattr(obj, "generate", None)):
        return None
    return _connected, (address, obj.config, obj._caller.cache)


def _models(keep: int, endpoint: EndpointConfig, cache: Any, threads: int) -> Models:
    torch.set_num_threads(threads)
    models = Models(keep, endpoint=endpoint, cache=cache)
    if cache is not None:
        models.ledger = cast(Ledger, RemoteLedger(endpoint, cache))
    return models


def _connected(address: Address, config: EndpointConfig, cache: Any) -> RemoteModel:
    ledger = None if cache is None else cast(Ledger, RemoteLedger(config, cache))
    return connect(address, config, ledger=ledger, cache=cache)


def _loaded(identity: str, batch_rows: int, batch_tokens: int, threads: int) -> hf.HFModel:
    name, _, revisions = identity.rpartition("@")
    assert "+" not in revisions, f"{identity}: a model with adapters travels within `Models` only"
    torch.set_num_threads(threads)
    model = hf.load(name, batch_rows=batch_rows, batch_tokens=batch_tokens)
    _check(model.identity, identity)
    return model


def _in_vllm(identity: str, name: str, config: VLLMConfig, cache: Any) -> VLLMModel:
    model = VLLMModel(name, config, cache=cache)
    _check(model.identity, identity)
    return model


def _check(found: str, asked: str) -> None:
    if found != asked:
        raise ModelError(f"a worker found model {found!r}, where the run has {asked!r}")
