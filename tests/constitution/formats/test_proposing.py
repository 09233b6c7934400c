"""A model proposes, its quotes are checked, and a person's word alone lets a clause in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from charter.constitution.formats import proposals
from charter.constitution.formats.given import Given
from charter.constitution.formats.importing import import_text
from charter.constitution.formats.proposing import parts, propose
from charter.errors import DocumentError
from charter.records import Completion, Request


class Scripted:
    """Answers by what stands in the request."""

    identity = "scripted@1"

    def __init__(self, **answers: str) -> None:
        self.answers, self.asked = answers, list[Request]()

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.asked += requests
        return [self._answer(request.messages[-1].content) for request in requests]

    def _answer(self, text: str) -> Completion:
        said = next(answer for key, answer in self.answers.items() if f"Section: {key}" in text)
        if said == "fail":
            return Completion("", 0, "error", "timeout")
        return Completion(said, 1, "stop")


TEXT = """\
## Truth

It says what
is so, always.

## Care

It takes care of people.

## Rest

Nothing here.

## Late

Too late.
"""
GIVEN = Given("letter.md", TEXT)
GOOD = 'PRINCIPLE: The assistant says what is so.\nQUOTE: "It says what is so"'


def review(**answers: str) -> proposals.Review:
    scripted = Scripted(
        **{"Truth": "NONE", "Care": "NONE", "Rest": "NONE", "Late": "NONE"} | answers
    )
    return propose(import_text(GIVEN).document, GIVEN, scripted)


def test_a_proposal_cites_the_words_it_rests_on() -> None:
    found = review(Truth=GOOD)
    (proposal,) = found.proposals
    assert (proposal.id, proposal.text) == ("truth-1", "The assistant says what is so.")
    assert TEXT[slice(*proposal.span)] == "It says what\nis so"
    assert not proposal.accepted
    assert (found.asked, found.source_digest) == (4, GIVEN.digest)


def test_what_cannot_be_used_is_counted_by_reason() -> None:
    found = review(
        Truth=f"{GOOD}\n\n{GOOD}\nPRINCIPLE: The assistant flies.\nQUOTE: It flies by night.",
        Care="PRINCIPLE: The assistant cares.\nQUOTE: It takes",
        Rest="Certainly! Here is an overview.",
        Late="fail",
    )
    assert len(found.proposals) == 1
    assert found.left_out == {
        "answer not in the form asked for": 1,
        "no answer: timeout": 1,
        "proposed before": 1,
        "quote is not in the section": 1,
        "quote too short": 1,
    }


def test_marks_around_the_lines_do_no_harm() -> None:
    found = review(
        Care="1. **PRINCIPLE:** The assistant cares.\n\n- QUOTE: “It takes care of people.”"
    )
    assert [p.quote for p in found.proposals] == ["It takes care of people."]


def test_a_review_file_is_read_back_and_lets_in_what_a_person_accepts() -> None:
    found = review(Truth=GOOD)
    text = proposals.as_yaml(found)
    assert proposals.parse(Given("r.yaml", text))[0] == found
    with pytest.raises(DocumentError, match="no proposal is accepted"):
        import_text(Given("r.yaml", text))
    accepted = text.replace("accepted: false", "accepted: true")
    (clause,) = import_text(Given("r.yaml", accepted)).document.principles
    assert clause.text == "The assistant says what is so."
    assert clause.source == f"letter.md ({GIVEN.digest}), “Truth”"


def test_long_sections_are_cut_between_paragraphs_and_nothing_is_missed() -> None:
    text = "## Long\n\n" + "\n\n".join(f"Sentence {n} is here." for n in range(40)) + "\n"
    given = Given("x.md", text)
    found = parts(import_text(given).document, given, 200)
    assert len(found) > 3
    assert all(len(part.text) <= 200 for part in found)
    assert "".join(part.text for part in found) == text
    assert all(given.text[part.start :].startswith(part.text) for part in found)


def test_the_same_text_asks_the_same(files: dict[str, str]) -> None:
    given = Given("x.md", files["prose"])
    document = import_text(given).document
    answers = {p.title: "NONE" for p in document.principles}
    a, b = Scripted(**answers), Scripted(**answers)
    propose(document, given, a)
    propose(document, given, b, limit=2)
    assert a.asked[:2] == b.asked
    assert len({request.seed for request in a.asked}) == len(a.asked)


def test_clauses_without_a_place_are_refused() -> None:
    given = Given("x.md", "- One.\n- Two.\n")
    with pytest.raises(DocumentError, match="no clause has a place in the text"):
        propose(import_text(given).document, given, Scripted())
