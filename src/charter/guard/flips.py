"""What an edit turns over: verdicts that are not what they were.

Works on two maps from an exchange to a verdict, whatever gave the verdicts: labels of rows, or the
actions of a guard before and after it was trained again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from charter.records import Record


class Flip(Record, frozen=True):
    """One exchange whose verdict changed."""

    id: str
    before: str
    after: str
    clauses: tuple[str, ...] = ()


def flips(
    before: Mapping[str, str],
    after: Mapping[str, str],
    clauses: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Flip]:
    """Exchanges that both maps know and judge differently, in order of their ids.

    Args:
        before: verdict by exchange, such as `GuardExample.exchange` or the id of an audit record.
        after: the same, later.
        clauses: what the later verdict rests on, where that is known.
    """
    cited = clauses or {}
    for id in sorted(before.keys() & after.keys()):
        if before[id] != after[id]:
            yield Flip(id, before[id], after[id], tuple(cited.get(id, ())))
