"""Rows of a Hugging Face data set: from the hub, or from a folder that `save_to_disk` wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from datasets import load_dataset, load_from_disk

from charter.errors import DataError


def rows(source: str) -> Iterator[tuple[int, Any]]:
    """Numbered rows of `hf:NAME[:SPLIT]`, streamed; the split is `train` unless named.

    Raises:
        DataError: it cannot be found or read.
    """
    name, _, split = source.removeprefix("hf:").partition(":")
    try:
        yield from enumerate(_open(name, split or "train"), 1)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot be loaded: {error}", file=source) from error


def _open(name: str, split: str) -> Iterable[Any]:
    folder = Path(name)
    if (folder / "state.json").exists():
        return cast(Iterable[Any], load_from_disk(name))
    if (folder / "dataset_dict.json").exists():
        return cast(Iterable[Any], load_from_disk(name)[split])
    return cast(Iterable[Any], load_dataset(name, split=split, streaming=True))
