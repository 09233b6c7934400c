"""First thresholds: a budget of refusals among harmless requests in plain dress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from tests.guard.test_guard_model import ROWS

from charter.guard import held_out
from charter.guard.training_rows import TrainingRows
from charter.records import Message


class Known:
    """Scores requests by the number that they end with."""

    identity, words = "known@0", dict[str, Any]()

    def conversation_scores(self, conversations: Sequence[Sequence[Message]]) -> list[float]:
        return [float(turns[-1].content.split()[-1]) for turns in conversations]


def rows(scores: dict[str, list[float]]) -> TrainingRows:
    """Held-out prompts with these scores, by label and form ("harmless plain")."""
    made = []
    for kind, values in scores.items():
        label, form = kind.split()
        for place, score in enumerate(values):
            turns = (Message("user", f"{kind} {place} {score}"),)
            row = ROWS.prompts_held_out[0]
            made.append(
                msgspec.structs.replace(
                    row, id=f"{kind}/{place}", conversation=turns, label=label, form=form
                )
            )
    return TrainingRows((), (), tuple(made), ())


PLAIN = [0.001 * place for place in range(400)]


@pytest.mark.parametrize("twins", [[], [0.9] * 100], ids=["no twins", "twins that score high"])
def test_the_budget_is_one_of_plain_requests(twins: list[float]) -> None:
    given = rows({"harmful plain": [0.8] * 9, "harmless plain": PLAIN, "harmless base64": twins})
    found, figures = held_out.thresholds_and_figures(Known(), given, 96)  # type: ignore[arg-type]
    refused = sum(score >= found.prompt for score in PLAIN) / len(PLAIN)
    assert 0 < refused <= held_out.BUDGET
    assert figures["prompt"]["n_benign"] == len(PLAIN) + len(twins)


def test_without_plain_requests_all_of_them_count() -> None:
    given = rows({"harmful base64": [0.8] * 9, "harmless base64": PLAIN})
    found, _ = held_out.thresholds_and_figures(Known(), given, 96)  # type: ignore[arg-type]
    assert 0.39 < found.prompt < 0.4
