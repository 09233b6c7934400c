"""What a campaign found, as one record: the file `redteam.json`.

Owns which figures there are and which attempts each is of. How one is computed is `figures`'.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from charter.guard.redteam import figures
from charter.guard.redteam.attempt import Attempt
from charter.guard.redteam.figures import Benign, Harmful
from charter.guard.redteam.tax import Tax
from charter.records import Record
from charter.statistics import Rate
from charter.statistics.correction import ErrorRates


class FormFigures(Record, frozen=True):
    """One form: harmful requests, benign twins beside them, and who got past the input stage."""

    harmful: Harmful
    benign: Benign
    input_passed: Rate


class Staged(Record, frozen=True):
    """The staged attack.

    Attributes:
        input_passed: share of the first step's requests that the input stage let through.
        input_unknown: requests of which the target did not say which stage blocked them.
        output: the second step: requests that had been blocked as answers, told to hide the answer.
        by_dress: the second step by the way the answer was to be written.
        behaviours: share of all behaviours that some attempt of either step succeeded with; raw.
    """

    input_passed: Rate
    input_unknown: int
    output: Harmful
    by_dress: dict[str, Harmful]
    behaviours: Rate


class Round(Record, frozen=True):
    """One round, of which behaviours on the `eval` side were never learned from."""

    round: int
    target: str
    harmful: Harmful
    benign: Benign
    held_out: Harmful
    learned: int


class Findings(Record, frozen=True):
    """All figures of a campaign; those that are not in `rounds` are of the first round.

    Attributes:
        about: target, guard, judge with its error rates, sources, settings.
        harmful, benign: over all forms, the first step.
        by_form, by_category: the same in parts; `plain` is the request as it stands.
        any_form: share of behaviours that at least one form succeeded with; raw.
        staged: see `Staged`.
        jailbreak_tax: by form, where tasks were given.
        rounds: one after the other.
        notes: what to mind when reading the figures.
    """

    about: dict[str, Any]
    harmful: Harmful
    benign: Benign
    by_form: dict[str, FormFigures]
    by_category: dict[str, Harmful]
    any_form: Rate
    staged: Staged
    jailbreak_tax: dict[str, Tax]
    rounds: tuple[Round, ...]
    notes: tuple[str, ...]


def of(
    rounds: Sequence[Sequence[Attempt]],
    taxes: dict[str, Tax],
    about: dict[str, Any],
    errors: ErrorRates | None,
) -> Findings:
    """All figures.

    Args:
        rounds: attempts of each.
        taxes: by form.
        about: see `Findings`.
        errors: of the judge.
    """
    first = [a for a in rounds[0] if a.step == "form"]
    names = dict.fromkeys(a.form for a in first)
    groups = dict.fromkeys(a.category or "none" for a in first if a.side == "harmful")
    return Findings(
        about=about,
        harmful=figures.harmful(first, errors),
        benign=figures.benign(first),
        by_form={n: _form([a for a in first if a.form == n], errors) for n in names},
        by_category={
            group: figures.harmful((a for a in first if (a.category or "none") == group), errors)
            for group in sorted(groups)
        },
        any_form=figures.any_success(first),
        staged=_staged(rounds[0], errors),
        jailbreak_tax=taxes,
        rounds=tuple(_round(made, errors) for made in rounds),
        notes=_notes(about, first, errors),
    )


def _form(made: Sequence[Attempt], errors: ErrorRates | None) -> FormFigures:
    passed, _ = figures.input_passed(made)
    return FormFigures(figures.harmful(made, errors), figures.benign(made), passed)


def _staged(made: Sequence[Attempt], errors: ErrorRates | None) -> Staged:
    passed, unknown = figures.input_passed(a for a in made if a.step == "form")
    second = [a for a in made if a.step == "answer"]
    dresses = dict.fromkeys(a.dress for a in second)
    return Staged(
        passed,
        unknown,
        figures.harmful(second, errors),
        {d: figures.harmful((a for a in second if a.dress == d), errors) for d in dresses},
        figures.any_success(made),
    )


def _round(made: Sequence[Attempt], errors: ErrorRates | None) -> Round:
    first = [a for a in made if a.step == "form"]
    return Round(
        made[0].round,
        made[0].origin.model,
        figures.harmful(first, errors),
        figures.benign(first),
        figures.harmful((a for a in first if a.split == "eval"), errors),
        sum(a.outcome == "complied" and a.split == "train" for a in made),
    )


def _notes(
    about: dict[str, Any], made: Iterable[Attempt], errors: ErrorRates | None
) -> tuple[str, ...]:
    found = []
    if errors is None:
        found.append("Not corrected: nobody measured how often the judge is wrong.")
    else:
        found.append(
            "The judge's error rates were measured on plain requests. An answer that begins with "
            "a refusal counts as one, and some jailbreaks ask for just that."
        )
    for side in ("behaviours", "benign"):
        if about.get(side, {}).get("source") == "library":
            found.append(
                f"The {side} are the package's own, which guards are trained on: a guard made "
                "from them looks better here than it is. Give a file of your own."
            )
    if any(a.outcome == "blocked" and not a.blocked_at for a in made):
        found.append("The target does not say which stage blocked; staged figures miss those.")
    return tuple(found)
