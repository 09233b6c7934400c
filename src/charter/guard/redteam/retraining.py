"""Fitting a `readout` guard again, on its own data and on what the red team found.

The one module of the package that loads models. The first guard stays as it is: each round's guard
has a folder of its own, with thresholds from rows held out, as `charter guard train` sets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from charter.errors import InputError
from charter.guard import fitting, guard_file, loading, training_rows
from charter.guard.config import GuardSettings
from charter.guard.examples import GuardExample
from charter.guard.guard_file import GuardFile
from charter.guard.readout_guard import KIND, ReadoutCard, model_of
from charter.guard.redteam.guarded import Defence
from charter.guard.training_rows import TrainingRows


def defence(guard: str) -> Defence:
    """The guard in a folder, or `default`, as it would be served.

    Raises:
        InputError: there is no guard there.
    """
    found = loading.load(guard)
    window = found.window or GuardSettings().window
    return Defence(found.classifier, GuardSettings(window=window, thresholds=found.thresholds))


@dataclass(frozen=True, slots=True)
class Refit:
    """See `feedback.Retrainer`.

    Attributes:
        card: of the guard that learns.
        base: rows that it was trained on.
        out: folder for the guards of the rounds.
        cache: folder where activations are kept.
    """

    card: ReadoutCard
    base: TrainingRows
    out: Path
    cache: Path

    @classmethod
    def of(cls, guard: str, data: Sequence[Path], out: Path, cache: Path) -> Refit:
        """From the guard's folder and the data that it was trained on.

        Raises:
            InputError: no data is given, or this kind of guard is not fitted here.
        """
        folder = loading.folder_of(guard)
        kind = guard_file.read(folder, GuardFile).kind
        if kind != KIND:
            raise InputError(
                f"a guard of the kind {kind!r} cannot be trained again here",
                field="--guard",
                expected=f"the kind {KIND!r}",
            )
        if not data:
            raise InputError(
                "a guard that saw the red team's rows alone would forget all others",
                field="--data",
                expected="the data that the guard was trained on",
            )
        return cls(guard_file.read(folder, ReadoutCard), training_rows.load(data), out, cache)

    def __call__(self, rows: Sequence[GuardExample], round_: int) -> Defence:
        """See `feedback.Retrainer`."""
        new = training_rows.divided([*self.base.prompts, *rows])
        base = self.base
        every = TrainingRows(
            new.prompts, base.answers, base.prompts_held_out, base.answers_held_out
        )
        step = self.card.layers[1] - self.card.layers[0] if len(self.card.layers) > 1 else 1
        settings = fitting.FitSettings(layer_step=step)
        folder = self.out / f"guard-{round_}"
        name = self.card.model
        fitting.train(every, model_of(name), name, folder, cache=self.cache, settings=settings)
        return defence(str(folder))
