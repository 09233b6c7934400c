"""Who goes before whom, and what a critic and a judge hear of exceptions."""

from __future__ import annotations

from msgspec.structs import replace

from charter.constitution import asked
from charter.constitution.clauses import FORMAT, Constitution, Principle
from charter.constitution.priorities import before


def principle(id: str, *over: str, level: str = "") -> Principle:
    return Principle(id, id, "Text.", "Say {it}.", "Mend.", "Which?", over=over, level=level)


def document(*principles: Principle, levels: tuple[str, ...] = ()) -> Constitution:
    return Constitution(FORMAT, "test", "1", principles, levels=levels)


def test_a_document_without_priorities_has_none() -> None:
    assert before(document(principle("a"), principle("b"))) == {}


def test_priorities_go_on_through_others() -> None:
    found = before(document(principle("a", "b"), principle("b", "c"), principle("c")))
    assert found == {"a": {"b", "c"}, "b": {"c"}}


def test_a_level_goes_before_all_below_it_and_before_no_clause_without_a_level() -> None:
    high, low = principle("h", level="root"), principle("l", level="user")
    found = before(document(low, principle("x"), high, levels=("root", "system", "user")))
    assert found == {"h": {"l"}}


def test_levels_and_own_priorities_are_taken_together() -> None:
    first = principle("first", "high")
    high, low = principle("high", level="root"), principle("low", level="user")
    found = before(document(first, high, low, levels=("root", "user")))
    assert found == {"first": {"high", "low"}, "high": {"low"}}


def test_a_clause_without_exceptions_is_asked_about_in_its_own_words() -> None:
    plain = principle("a")
    assert asked.critique_request(plain) == plain.critique_request
    assert asked.revision_request(plain) == plain.revision_request
    assert asked.comparison_question(plain) == plain.comparison_question
    assert asked.statement(plain) == plain.text


def test_exceptions_follow_every_request() -> None:
    clause = replace(principle("a"), exceptions=("a {dose} may be named", "Quotes stand."))
    heard = " Exception: a {dose} may be named. Exception: Quotes stand."
    assert asked.critique_request(clause) == "Say {it}." + heard
    assert asked.revision_request(clause) == "Mend." + heard
    assert asked.comparison_question(clause) == "Which?" + heard
    assert asked.statement(clause) == "Text." + heard
