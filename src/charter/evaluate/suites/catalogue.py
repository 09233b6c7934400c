"""All suites by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from charter.errors import InputError
from charter.evaluate.suites import (
    adherence,
    bias,
    evasiveness,
    harm,
    helpfulness,
    hhh,
    opinion,
    over_refusal,
    retention,
    sycophancy,
    truthfulness,
)
from charter.evaluate.suites.sources import Sources
from charter.evaluate.suites.suite import Suite

Builder = Callable[[Sources], Suite]
BUILDERS: dict[str, Builder] = {
    module.NAME: module.build
    for module in (
        harm,
        over_refusal,
        evasiveness,
        helpfulness,
        hhh,
        sycophancy,
        opinion,
        truthfulness,
        bias,
        adherence,
        retention,
    )
}
OFFLINE = ("harm", "over_refusal", "evasiveness", "helpfulness", "sycophancy", "adherence")
"""Suites whose prompts ship with the package and that any model can take."""


def build(names: Sequence[str], sources: Sources) -> list[Suite]:
    """Suites by name, all read and checked before any model is loaded.

    Raises:
        InputError: there is no such suite, or its file is missing or not what it should be.
    """
    unknown = [name for name in names if name not in BUILDERS]
    if unknown:
        raise InputError(
            f"no suite {unknown[0]!r}",
            field="--suite",
            expected=f"one of {', '.join(BUILDERS)}, lm_eval:TASK",
        )
    return [BUILDERS[name](sources) for name in dict.fromkeys(names)]
