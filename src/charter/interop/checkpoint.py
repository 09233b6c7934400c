"""`charter interop checkpoint`: a model of a run as one plain folder that any tool can load."""

from __future__ import annotations

from pathlib import Path

from charter.errors import InputError, ModelError, boundary
from charter.evaluate.policies import policy
from charter.models import hf
from charter.records import Record


class Plain(Record, frozen=True):
    """Where the model lies now, and what it was made from."""

    folder: str
    base: str
    adapters: list[str]


def write(name: str, out: str | Path) -> Plain:
    """Merge a model's adapters into its base and write it in the Hugging Face layout.

    Args:
        name: as in `charter evaluate --models`: `RUN:rl_cai`, a folder, a hub name.
        out: folder to write to; it must be empty or new.

    Raises:
        InputError: the name means nothing, or the folder is not empty.
        ModelError: the model cannot be loaded or written.
    """
    folder = Path(out)
    if folder.exists() and any(folder.iterdir()):
        raise InputError("is not empty", file=folder, field="--out", expected="a new folder")
    checkpoint = policy(name).checkpoint
    model = hf.load(checkpoint.base, adapters=checkpoint.adapters, plain=True)
    with boundary(ModelError, f"writing {folder}", catch=(OSError,)):
        model.net.save_pretrained(str(folder))
        model.tokenizer.save_pretrained(str(folder))
    return Plain(str(folder), checkpoint.base, [*checkpoint.adapters])
