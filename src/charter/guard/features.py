"""Activations for fitting a guard: read once, kept on disk, found again by what was read.

Owns the store (half precision, appended as it is made, so a killed run goes on where it was) and
what is read of a conversation and of an answer. Knows no labels.

Shape suffixes: N rows, F features (layers * hidden size), T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from charter.guard.readable import cleaned
from charter.guard.tracking import GrowingText
from charter.guard.views import Conversation, ViewSettings, views
from charter.models.hf import HFModel
from charter.models.scoring import Tree
from charter.records import Message, digest

Progress = Callable[[int, int], None]
"""Called with how many rows are done, and of how many."""
Exchange = tuple[tuple[Message, ...], str]
MOST_TOKENS = 512
"""Of an answer that is learned from; and of a conversation twice as many."""
_AT_ONCE = 64


class FeatureStore:
    """Rows of numbers by key, in two files: `keys` (one a line) and `rows` (float16).

    Args:
        folder: made if it is not there.
        width: numbers of a row.
    """

    def __init__(self, folder: Path, width: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.width, self._keys, self._rows = width, folder / "keys", folder / "rows"
        text = self._keys.read_text() if self._keys.exists() else ""
        keys = text[: text.rfind("\n") + 1].split()
        size = self._rows.stat().st_size if self._rows.exists() else 0
        whole = min(len(keys), size // (2 * width))
        self._place = {key: place for place, key in enumerate(keys[:whole])}
        self._repair(keys[:whole])

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Keys that are not there, each once, in order."""
        return [key for key in dict.fromkeys(keys) if key not in self._place]

    def append(self, keys: Sequence[str], rows_NF: np.ndarray) -> None:
        """Add rows that are not there yet; numbers too large for half precision are cut."""
        largest = float(np.finfo(np.float16).max)
        blob = np.clip(rows_NF, -largest, largest).astype(np.float16).tobytes()
        with self._rows.open("ab") as stream:
            stream.write(blob)
        with self._keys.open("a") as names:
            names.writelines(f"{key}\n" for key in keys)
        start = len(self._place)
        self._place |= {key: start + number for number, key in enumerate(keys)}

    def get(self, keys: Sequence[str]) -> np.ndarray:
        """Rows of these keys, float32 [N, F]."""
        if not keys:
            return np.zeros((0, self.width), np.float32)
        rows = np.memmap(self._rows, np.float16, "r").reshape(-1, self.width)
        return np.asarray(rows[[self._place[key] for key in keys]], dtype=np.float32)

    def _repair(self, keys: list[str]) -> None:
        """Cut off what a kill left half-written, so that both files go on together."""
        if self._rows.exists():
            with self._rows.open("rb+") as stream:
                stream.truncate(2 * self.width * len(keys))
            self._keys.write_text("".join(f"{key}\n" for key in keys))


class ActivationReader:
    """Reads what heads are fitted on.

    Args:
        model: whose activations.
        layers: which, from first to last; 1 is the output of the first block.
        cache: folder of the stores.
        settings: lengths of views; the first view of a conversation is what is read.
    """

    def __init__(
        self,
        model: HFModel,
        layers: tuple[int, ...],
        cache: Path,
        settings: ViewSettings | None = None,
    ) -> None:
        self.model, self.layers = model, layers
        self.settings = settings or ViewSettings()
        self.width = len(layers) * model.hidden_size
        named = digest([model.identity, layers, self.settings, MOST_TOKENS])
        self._prompts = FeatureStore(cache / f"prompts-{named}", 2 * self.width)
        self._answers = FeatureStore(cache / f"answers-{named}", self.width)

    def prompts(
        self, conversations: Sequence[Conversation], progress: Progress | None = None
    ) -> np.ndarray:
        """Mean over all tokens but the first, then the last one, of each conversation [N, 2F]."""

        def reduce(states: tuple[torch.Tensor, ...], row: int, span: slice) -> torch.Tensor:
            features_TF = self._features(states, row, span)
            return torch.cat([features_TF[min(1, len(features_TF) - 1) :].mean(0), features_TF[-1]])

        every = [views(turns, self.settings)[0] for turns in conversations]
        keys = [digest(view) for view in every]
        by_key = dict(zip(keys, every, strict=True))
        self._fill(self._prompts, by_key, self._prompt_tree, reduce, progress)
        return self._prompts.get(keys)

    def answers(
        self, exchanges: Sequence[Exchange], progress: Progress | None = None
    ) -> np.ndarray:
        """Mean over the tokens of each answer [N, F]."""

        def reduce(states: tuple[torch.Tensor, ...], row: int, span: slice) -> torch.Tensor:
            return self._features(states, row, span).mean(0)

        keys = [digest(exchange) for exchange in exchanges]
        by_key = dict(zip(keys, exchanges, strict=True))
        self._fill(self._answers, by_key, self._answer_tree, reduce, progress)
        return self._answers.get(keys)

    def answer_tokens(
        self,
        exchanges: Sequence[Exchange],
        project: Callable[[torch.Tensor], torch.Tensor],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        """What `project` keeps of every token's features [T, F], a text at a time. Not stored."""

        def reduce(states: tuple[torch.Tensor, ...], row: int, span: slice) -> torch.Tensor:
            return project(self._features(states, row, span))

        found: list[np.ndarray] = []
        for start in range(0, len(exchanges), _AT_ONCE):
            trees = [self._answer_tree(e) for e in exchanges[start : start + _AT_ONCE]]
            read = self.model.activations(trees, reduce)
            found += [part.float().cpu().numpy() for (part,) in read]
            if progress is not None:
                progress(len(found), len(exchanges))
        return found

    def _fill(
        self,
        store: FeatureStore,
        by_key: Mapping[str, object],
        tree: Callable[..., Tree],
        reduce: Callable[[tuple[torch.Tensor, ...], int, slice], torch.Tensor],
        progress: Progress | None,
    ) -> None:
        todo = store.missing(by_key)
        for start in range(0, len(todo), _AT_ONCE):
            keys = todo[start : start + _AT_ONCE]
            read = self.model.activations([tree(by_key[key]) for key in keys], reduce)
            store.append(keys, np.stack([part.float().cpu().numpy() for (part,) in read]))
            if progress is not None:
                progress(start + len(keys), len(todo))

    def _features(self, states: tuple[torch.Tensor, ...], row: int, span: slice) -> torch.Tensor:
        return torch.cat([states[layer][row, span] for layer in self.layers], dim=-1)

    def _prompt_tree(self, view: Conversation) -> Tree:
        return Tree((), (tuple(self._cut(self.model.render(view))),))

    def _answer_tree(self, exchange: Exchange) -> Tree:
        context, answer = exchange
        text = GrowingText(lambda piece: self.model.encode(cleaned(piece)))
        ids = text.extend(answer)[:MOST_TOKENS] or self.model.end_ids()[:1]
        before = self.model.render(views(context, self.settings)[0])
        return Tree(tuple(self._cut(before)), (tuple(ids),))

    def _cut(self, ids: list[int]) -> list[int]:
        # Rows as long as that are rare, and one of them would make its whole batch slow.
        return [*ids[:1], *ids[-2 * MOST_TOKENS :]] if len(ids) > 2 * MOST_TOKENS else ids
