"""The same comparison question in other words, to see whether a verdict hangs on its wording.

Owns the ways of rewording (ours, by hand) and the ids under which a judge is asked about them. A
paraphrased principle is a principle like any other, so that every kind of judge can be tested.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from charter.constitution.document import Constitution, Principle
from charter.records import Record

_WHICH = re.compile(r"Which (?:answer|response|reply|one) (?P<rest>.+)\?", re.DOTALL)


class Style(Record, frozen=True):
    """One way to ask: the words around what a question asks, or around a whole other sentence."""

    before: str
    after: str
    before_other: str
    after_other: str


STYLES = (
    Style("Of the two answers, which one ", "?", "Look at both answers first. ", ""),
    Style("Which of these two replies ", "?", "Here is what has to be settled. ", ""),
    Style("Choose the answer that ", ".", "", " Weigh the two answers against each other."),
    Style("Suppose only one of them could be sent: which answer ", "?", "Decide this: ", ""),
    Style("Having read both responses, say which one ", ".", "Having read both, decide. ", ""),
)


def reworded(question: str, style: int) -> str:
    """A comparison question in another style.

    Args:
        question: such as "Which answer is less harmful?"; any other sentence is kept whole.
        style: place in `STYLES`.
    """
    way, match = STYLES[style], _WHICH.fullmatch(question.strip())
    # Plain concatenation: the question is the user's text and may hold braces.
    if match:
        return way.before + match["rest"] + way.after
    return way.before_other + question.strip() + way.after_other


def paraphrase_id(principle: str, style: int) -> str:
    """Id of a principle asked in another style."""
    return f"{principle}-reworded-{style + 1}"


def with_paraphrases(constitution: Constitution, count: int) -> Constitution:
    """A constitution that also holds each principle in the first `count` styles."""
    assert 0 <= count <= len(STYLES)
    more = (_paraphrase(p, style) for style in range(count) for p in constitution.principles)
    return replace(constitution, principles=(*constitution.principles, *more))


def _paraphrase(principle: Principle, style: int) -> Principle:
    question = reworded(principle.comparison_question, style)
    return replace(principle, id=paraphrase_id(principle.id, style), comparison_question=question)
