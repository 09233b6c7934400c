"""Stage: the RLAIF policy and its RLHF twin, head to head on the same held-out prompts.

Both come from one SFT model and one set of pairs; only the labels differ. Owns who wins on which
prompt, and the figures with their intervals, raw and at equal lengths (Lee et al. 2023, §4.1 and
app. J). Asks no model: it reads the answers and scores that the evaluation has written.

Shape suffixes: M models, P prompts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from charter.errors import InputError
from charter.evaluate.config import BENIGN, HELPFUL, REDTEAM
from charter.evaluate.measure import TIE, harmful_compliance
from charter.evaluate.table import TOKENS, ScoreTable, tabulate
from charter.records import Answer, Record
from charter.statistics import wilson
from charter.statistics.length import length_controlled
from charter.store import Manifest, StageFolder

STAGE = "twin"
AI, PEOPLE = "rl_cai", "rlhf"
"""The two models, by their names in the evaluation."""


class TwinConfig(Record, frozen=True):
    """The `twin:` block of a recipe."""

    judge: str = ""
    """Judge of the second arm, `human` for the people who labelled `feedback.pairs`; empty: no
    second arm. Its preference model and its policy are trained as the first arm's are."""


@dataclass(frozen=True, slots=True)
class TwinDeps:
    """What the stage needs: its folder, and who labelled for each of the two models."""

    folder: StageFolder
    labelled_by: dict[str, str]


def run(answers: Iterable[Answer], *, deps: TwinDeps) -> Manifest:
    """Compare the two policies; the figures stand in the manifest's notes.

    Raises:
        InputError: one of the two did not answer.
    """
    if deps.folder.manifest is not None:
        return deps.folder.manifest
    started = time.monotonic()
    notes = {"labelled_by": deps.labelled_by, **head_to_head(answers)}
    return deps.folder.finish(time.monotonic() - started, notes)


def head_to_head(answers: Iterable[Answer], one: str = AI, other: str = PEOPLE) -> dict[str, Any]:
    """How often one model's answer is better than the other's.

    Args:
        answers: of the evaluation; models but these two are passed over.
        one: its win rates are given.
        other: whom it is compared with.

    Returns:
        JSON-ready: `models`; `harmless` (red-team prompts, by harmful compliance) and `helpful`
        (benign prompts, by helpfulness), each with `raw`, `controlled` (at equal lengths),
        `ties`, `length_effect`, `unscored`, or null where no prompt could be compared.

    Raises:
        InputError: one of the two did not answer.
    """
    table = tabulate(a for a in answers if a.model in (one, other))
    for name in (one, other):
        if name not in table.models:
            raise InputError(f"no answers of model {name!r}", expected=f"{one} and {other}")
    rows = [table.models.index(name) for name in (one, other)]
    # Turned round, since the lower probability of complying wins.
    safety_MP, help_MP = -harmful_compliance(table), table.readings(HELPFUL, BENIGN)
    return {
        "models": [one, other],
        "harmless": _compared(table, safety_MP[rows], rows, REDTEAM),
        "helpful": _compared(table, help_MP[rows], rows, BENIGN),
    }


def _compared(
    table: ScoreTable, scores_2P: np.ndarray, rows: list[int], kind: str
) -> dict[str, Any] | None:
    gap_P = scores_2P[0] - scores_2P[1]
    tokens_2P = table.readings(TOKENS, kind)[rows]
    known_P = ~np.isnan(gap_P)
    if not known_P.any():
        return None
    tied_P = np.abs(gap_P) < TIE
    wins_P = np.where(known_P, np.where(tied_P, 0.5, gap_P > 0), np.nan)
    found = length_controlled(wins_P, tokens_2P[0] - tokens_2P[1])
    built: dict[str, Any] = msgspec.to_builtins(found)
    won = float(wins_P[known_P].sum())
    return {
        **built,
        # Wilson's, as everywhere a share of prompts is given.
        "raw": msgspec.to_builtins(wilson(won, int(known_P.sum()))),
        "ties": msgspec.to_builtins(wilson(int(tied_P[known_P].sum()), int(known_P.sum()))),
    }
