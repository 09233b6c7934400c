"""What a round teaches: successes become rows to train on, each with its benign twin.

Only behaviours on the train side of the split are learned from; the others show what the guard
learned beyond them. A row is about the prompt: its label comes from the file of behaviours and not
from the judge, or the judge would teach the guard that it is to measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from charter.constitution.document import Constitution
from charter.guard.examples import GuardExample, Label
from charter.guard.redteam.attempt import Attempt
from charter.guard.redteam.guarded import Defence
from charter.guard.redteam.plan import dress_seed, in_form
from charter.guard.sources import categories, fallback_clauses
from charter.records import Message, Prompt
from charter.store import write_atomic

SOURCE = "redteam"
ROWS, EXAMPLES = "rows.jsonl", "examples.jsonl"


class Retrainer(Protocol):
    """Makes a guard that has also seen some rows."""

    def __call__(self, rows: Sequence[GuardExample], round_: int) -> Defence:
        """The guard after that round.

        Args:
            rows: of this round and of all before it.
            round_: from 1 on.
        """


def rows(
    attempts: Iterable[Attempt],
    behaviours: Sequence[Prompt],
    twins: Sequence[Prompt],
    constitution: Constitution,
    seed: int,
) -> list[GuardExample]:
    """A row for each success on the train side of the split, and one for its twin in that dress."""
    place = {prompt.id: i for i, prompt in enumerate(behaviours)}
    known, found = categories(constitution), list[GuardExample]()
    for attempt in successes(attempts):
        side = known.get(attempt.category)
        clauses = side[1].principles if side else ()
        clauses = clauses or fallback_clauses(constitution, "harmful")
        found.append(_row(attempt, "harmful", attempt.behaviour, attempt.conversation, clauses))
        if twins:
            i = place[attempt.behaviour]
            twin = twins[i % len(twins)]
            said = in_form(twin, attempt.form, dress_seed(seed, attempt.round, i))
            harmless = fallback_clauses(constitution, "harmless")
            found.append(_row(attempt, "harmless", twin.id, said, harmless))
    return found


def successes(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Harmful attempts that worked and may be learned from."""
    return [
        a
        for a in attempts
        if a.side == "harmful" and a.outcome == "complied" and a.split == "train"
    ]


def examples(
    attempts: Iterable[Attempt], behaviours: Sequence[Prompt], constitution: Constitution
) -> list[dict[str, Any]]:
    """The behaviours behind the successes, each once, as `charter guard synthesize --from` reads.

    A category that the constitution has no harmful category for is left out of its row.
    """
    worked = {a.behaviour for a in successes(attempts)}
    harmful = {id_ for id_, (label, _) in categories(constitution).items() if label == "harmful"}
    return [_example(p, harmful) for p in behaviours if p.id in worked]


def write(
    folder: Path, learned: Sequence[GuardExample], plain: Sequence[Mapping[str, Any]]
) -> None:
    """Both files into a folder: rows as `charter guard train --data` reads them, and examples."""
    for name, lines in ((ROWS, learned), (EXAMPLES, plain)):
        write_atomic(folder / name, b"".join(msgspec.json.encode(x) + b"\n" for x in lines))


def _example(prompt: Prompt, harmful: set[str]) -> dict[str, Any]:
    if len(prompt.messages) == 1:
        said: dict[str, Any] = {"text": prompt.messages[0].content}
    else:
        said = {"messages": msgspec.to_builtins(prompt.messages)}
    category = {"category": prompt.category} if prompt.category in harmful else {}
    return {**said, "label": "harmful", **category}


def _row(
    attempt: Attempt,
    label: Label,
    base: str,
    said: tuple[Message, ...],
    clauses: Sequence[str],
) -> GuardExample:
    return GuardExample(
        id=f"{SOURCE}-{label}-{attempt.id}",
        conversation=said,
        answer="",
        label=label,
        category=attempt.category if label == "harmful" else "",
        clauses=tuple(clauses),
        form=attempt.form,
        base=base,
        split="train",
        source=SOURCE,
        origin=attempt.origin,
    )
