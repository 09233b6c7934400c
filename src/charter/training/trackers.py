"""Where figures go besides the run folder: TensorBoard, Weights & Biases, trackio and their like.

Owns checking their names before anything is trained, and a tracker for loops that are not the
Trainer's. Nothing is tracked unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from charter.errors import InputError

_FIELD, _PROJECT = "report_to", "charter"


def checked(names: Sequence[str]) -> list[str]:
    """The names, if there are such trackers here.

    Raises:
        InputError: transformers knows no such tracker, or its package is not installed.
    """
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
            raise InputError(f"{name!r} is not a tracker", field=_FIELD, expected=f"one of {known}")
        try:
            INTEGRATION_TO_CALLBACK[name]()
        except (RuntimeError, ImportError) as error:
            raise InputError(
                f"tracker {name!r} cannot be used", field=_FIELD, expected="its package installed"
            ) from error
    return list(names)


class Tracker:
    """Sends the figures of each step to the trackers that are named; to none by default.

    Args:
        names: see `checked`.
        folder: where those that write files do so.

    Raises:
        InputError: see `checked`.
    """

    def __init__(self, names: Sequence[str], folder: Path) -> None:
        self._to: Accelerator | None = None
        if checked(names):
            self._to = Accelerator(
                log_with=list(names), project_dir=str(folder), cpu=not torch.cuda.is_available()
            )
            self._to.init_trackers(_PROJECT)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """One step's figures."""
        if self._to is not None:
            self._to.log(dict(figures), step=step)

    def close(self) -> None:
        """Write what is left."""
        if self._to is not None:
            # Not `end_training`, which would also part this process from the others.
            for tracker in self._to.trackers:
                tracker.finish()
