"""Models by checkpoint, loaded when they are first asked for something.

Owns how many sit in memory at once. A stage that finds all of its answers in the cache, or has
finished before, never loads the model that it names.
"""

from __future__ import annotations

from collections.abc import Sequence

from charter.models import hf
from charter.records import Checkpoint, Completion, Request, digest


class Models:
    """Loads models when they are first asked for something, and keeps the last two."""

    def __init__(self, keep: int = 2) -> None:
        self.keep = keep
        self._loaded: dict[str, hf.HFModel] = {}

    def get(self, checkpoint: Checkpoint) -> hf.HFModel:
        """The model of a checkpoint, loaded."""
        key = digest(checkpoint)
        model = self._loaded.pop(key, None)
        if model is None:
            while len(self._loaded) >= self.keep:
                self._loaded.pop(next(iter(self._loaded)))
            model = hf.load(checkpoint.base, adapters=checkpoint.adapters)
        self._loaded[key] = model
        return model

    def lazily(self, checkpoint: Checkpoint) -> LazyModel:
        """The model of a checkpoint, loaded at its first call."""
        return LazyModel(self, checkpoint)


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
