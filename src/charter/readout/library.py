"""The readouts that ship with the package, all over the embedded model's hidden states."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from charter.errors import InputError
from charter.models.hf import HFModel
from charter.readout.linear import LinearReadout, load

JUDGE = "judge"
"""Labels: axes over answers, and a readout over principles. Trained on preference pairs."""
COMPLIANCE = "compliance"
"""Evaluates: P(harmful compliance). Trained on people's labels of other models' answers."""
HELPFUL = "helpful"
"""Evaluates: helpfulness. Trained on preference pairs that the judge never saw."""


def shipped(name: str, model: HFModel) -> LinearReadout:
    """A shipped readout, for the model that it was trained on.

    Raises:
        InputError: it was trained on another model; its numbers would mean nothing.
    """
    readout = load(folder_of(name))
    if readout.card.model != model.identity:
        raise InputError(
            f"readout {name!r} was trained on {readout.card.model}, not {model.identity}",
            expected="the model it was trained on, or a readout of your own",
        )
    return readout


def readout_identity(name: str) -> str:
    """Digest of a shipped readout, without the model that it reads."""
    return load(folder_of(name)).identity


def folder_of(name: str) -> Path:
    """Folder of a shipped readout."""
    return Path(str(resources.files("charter.readout") / "library" / name))
