"""Which class speaks to which provider.

The SDKs are an optional extra, and importing one takes seconds: only the one that a run names is
imported, by name, when the run connects. That is the single place that does so.
"""

from __future__ import annotations

import importlib
from typing import Protocol

from charter.cache import CallCache
from charter.errors import ModelError, boundary
from charter.models.endpoint import Address, EndpointConfig
from charter.models.spend import Ledger
from charter.records import Model

_CLASSES = {
    "openai": ("charter.models.openai", "OpenAIModel"),
    "anthropic": ("charter.models.anthropic", "AnthropicModel"),
}


class RemoteModel(Model, Protocol):
    """A `Model` behind an endpoint: it holds connections and a thread until it is closed."""

    @property
    def concurrency(self) -> int:
        """Calls that it takes at a time."""

    def close(self) -> None:
        """Let go of connections and thread."""


def connect(
    address: Address,
    config: EndpointConfig,
    *,
    ledger: Ledger | None = None,
    cache: CallCache | None = None,
) -> RemoteModel:
    """The model at an address, its answers kept in `cache`, its costs counted in `ledger`.

    Raises:
        InputError: its key is not in the environment.
        ModelError: the SDK is not installed.
    """
    module, name = _CLASSES[address.provider]
    doing = f"loading the {address.provider} SDK (pip install 'charter-cai[remote]')"
    with boundary(ModelError, doing, catch=(ImportError,)):
        found = getattr(importlib.import_module(module), name)
    model: RemoteModel = found(address, config, ledger=ledger, cache=cache)
    return model
