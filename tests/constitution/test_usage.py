"""What a run says of the clauses: known votes, known answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from charter.constitution.clauses import FORMAT, Constitution, Principle
from charter.constitution.usage import Pair, VoteTable, contradictions, upper_tail, usage
from charter.errors import DataError
from charter.records import (
    Abstention,
    Comparison,
    Labelled,
    Message,
    Origin,
    PrincipleVote,
    Prompt,
    RevisionChain,
    Step,
    Verdict,
)
from charter.seeds import draws
from charter.store import RecordLog

PROMPT = Prompt("p", (Message("user", "q"),))
ORIGIN = Origin("x", "y")


def labelled(number: int, votes: dict[str, float]) -> Labelled:
    comparison = Comparison(f"c{number:03}", PROMPT, "a", "b", ORIGIN)
    given = tuple(PrincipleVote(id, p, p) for id, p in votes.items())
    return Labelled(comparison, Verdict(comparison.id, 0.5, given, "judge"))


def table(rows: Sequence[dict[str, float]]) -> VoteTable:
    made = VoteTable()
    for number, votes in enumerate(rows):
        made.add(labelled(number, votes))
    return made


def principle(id: str, *over: str) -> Principle:
    return Principle(id, id, "text", "critique", "revise", "Which?", over=over)


def write(run: Path, labels: Sequence[Labelled], chains: Sequence[RevisionChain] = ()) -> None:
    for stage, kind, records in (
        ("feedback", Labelled, labels),
        ("critique", RevisionChain, chains),
    ):
        (run / stage).mkdir(parents=True)
        RecordLog(run / stage / "records.jsonl", kind).append(records)


def test_opposite_votes_are_a_contradiction_with_the_rows_as_evidence() -> None:
    opposed = [{"kind": 0.9, "honest": 0.05 + n / 100} for n in range(12)]
    [found] = contradictions(table([*opposed, {"kind": 0.7, "honest": 0.7}]))
    assert (found.code, found.principle, found.evidence["other"]) == (
        "contradiction",
        "honest",
        "kind",
    )
    assert (found.evidence["n"], found.evidence["clear"]) == (13, 13)
    assert found.evidence["opposite"]["value"] == pytest.approx(12 / 13)
    assert found.evidence["p"] == pytest.approx(14 / 2**13)
    rows = found.evidence["rows"]
    assert [row["comparison"] for row in rows] == ["c000", "c001", "c002", "c003", "c004"]
    assert rows[0]["honest"] == pytest.approx(0.05)


def test_weak_votes_decide_nothing() -> None:
    weak = [{"kind": 0.55, "honest": 0.45} for _ in range(50)]
    assert list(contradictions(table(weak))) == []


@pytest.mark.parametrize("winner", ["kind", "honest"])
def test_a_settled_pair_says_which_clause_wins(winner: str) -> None:
    opposed = table([{"kind": 0.9, "honest": 0.1} for _ in range(20)])
    assert len(list(contradictions(opposed))) == 1
    [loser] = {"kind", "honest"} - {winner}
    [found] = contradictions(opposed, {winner: {loser}})
    assert (found.code, found.evidence["wins"]) == ("settled-contradiction", winner)
    assert f"{winner!r} goes before {loser!r}, whose vote gives way there" in found.message
    assert "give one of them priority" not in found.message


def test_the_bar_rises_with_the_number_of_pairs() -> None:
    source = draws("votes")
    rows = [{f"p{n:02}": source.random() for n in range(15)} for _ in range(60)]
    # 105 pairs of pure chance: at the plain 5 % level about five would be named.
    plain = [
        pair for pair in table(rows).pairs.values() if upper_tail(pair.opposite, pair.clear) < 0.05
    ]
    assert len(plain) >= 2
    assert list(contradictions(table(rows))) == []


def test_one_vote_a_comparison_shows_no_contradiction_and_says_so() -> None:
    [found] = contradictions(table([{"kind": 0.9}, {"honest": 0.1}]))
    assert (found.code, found.evidence) == ("contradictions-unseen", {"verdicts": 2, "unscored": 0})


def test_correlation_is_pearsons() -> None:
    source, pair = draws("pearson"), Pair()
    rows = [(source.random() - 0.5, source.random() - 0.5) for _ in range(40)]
    for number, (x, y) in enumerate(rows):
        pair.add(str(number), x, y)
    assert pair.correlation == pytest.approx(np.corrcoef(np.array(rows).T)[0, 1])
    constant = Pair()
    for number in range(5):
        constant.add(str(number), 0.3, 0.1 * number)
    assert constant.correlation is None


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (0, 5), (3, 5), (12, 12), (5100, 10_000)])
def test_the_sign_test_is_exact(successes: int, n: int) -> None:
    assert upper_tail(successes, n) == pytest.approx(binom.sf(successes - 1, n, 0.5))


def test_a_run_shows_what_was_used(tmp_path: Path) -> None:
    chain = RevisionChain("x", PROMPT, "critique", "d", (Step("calm", "c", "r"),), ORIGIN)
    abstained = Labelled(labelled(9, {}).comparison, Abstention("c009", "off_menu", "judge"))
    rows = [labelled(n, {"kind": 0.9, "old": 0.8}) for n in range(3)]
    write(tmp_path, [*rows, abstained], [chain])
    document = Constitution(
        FORMAT, "test", "1", (principle("kind"), principle("calm"), principle("brave"))
    )
    unused, unknown = usage(document, tmp_path)
    assert (unused.code, unused.principle) == ("unused-principle", "brave")
    assert (unused.evidence["of_critiques"], unused.evidence["of_votes"]) == (1, 6)
    assert (unknown.code, unknown.evidence) == ("unknown-principle", {"critiques": 0, "votes": 3})


def test_a_folder_that_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no critiques and no labels"):
        list(usage(Constitution(FORMAT, "t", "1", ()), tmp_path))
