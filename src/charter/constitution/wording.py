"""Advice on how a clause is worded: double negation, several demands in one, unexplained terms.

These are rules of thumb on English text. They point at places to read again, and are no verdict:
each finding quotes the words it rests on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from charter.constitution.clauses import Constitution, Principle
from charter.constitution.findings import Remark

_READ_BY_MODELS = ("critique_request", "revision_request", "comparison_question")
_NOT = r"(?:not|never|cannot|no|without|nobody|nothing|none|neither|nor|\w+n['’]t)"
_UNDOES = (
    r"(?:refus\w+|declin\w+|avoid\w*|fail(?:s|ed|ing)? to|forbid\w*|prohibit\w*|prevent\w*"
    r"|den(?:y|ies|ied)|un(?:able|willing|likely|acceptable|reasonable|fair|safe|ethical|lawful|kind|true)\w*"
    r"|dis(?:allow|agree|courag|approv|regard|honest)\w*|impossible|illegal|lack\w*)"
)
_DOUBLE = re.compile(
    rf"\b{_NOT}\b(?:\s+(?!and\b|or\b|but\b)[\w’'-]+){{0,3}}?\s+\b({_UNDOES}|{_NOT})\b",
    re.IGNORECASE,
)
_PAUSE = re.compile(r"[.,;:!?()—–]")
_SENTENCE = re.compile(r"[.!?;](?:\s|$)")
_NO_MEASURE = (
    r"(?:ever|never|other|another|either|neither|over|under|user|answer|after|whether|per)"
)
_MEASURE = rf"(?:more|less|better|worse|fewer|most|least|(?!{_NO_MEASURE}\b)\w{{2,}}er)"
_TWO_MEASURES = re.compile(
    rf"\b{_MEASURE}\b[^.?]*?\b(?:and|but|while|yet|as well as)\b[^.?]*?\b{_MEASURE}\b",
    re.IGNORECASE,
)
_NEXT_DEMAND = re.compile(
    r"(?:,|;|\band\b|\bbut\b)\s+(?:and |but )?(?:it |also |always |then )*"
    r"(?:must|should|may|does not|do not|is to|will|never \w+s|[a-z]{3,}s)\s+"
    r"(?:to|that|when|what|why|how|whom|where|a|an|the|no|any|not|it|them|people|users)\b"
)
_QUOTED = re.compile(r"[“\"]([^”\"]{2,40})[”\"]|(?<!\w)[‘']([A-Za-z][\w -]{1,39})[’'](?!\w)")
_CAPITALS = re.compile(
    r"\b[A-Z]{2,6}s?\b|\b[A-Z][a-z]+(?:[ -][A-Z][a-z]+)+\b|(?<=[a-z,] )[A-Z][a-z]{2,}\b"
)
_KNOWN = frozenset(
    {"AI", "I", "US", "UK", "EU", "UN", "FAQ", "URL", "HTML", "JSON", "YAML", "English"}
)
MOST_DEMANDS = 2


def wording(document: Constitution) -> Iterator[Remark]:
    """All advice on wording, principle by principle."""
    explained = _Explained(document)
    for principle in document.principles:
        yield from _double_negation(principle)
        yield from _compound(principle)
        yield from explained.missing(principle)


def _double_negation(principle: Principle) -> Iterator[Remark]:
    for field in ("text", *_READ_BY_MODELS):
        for part in _PAUSE.split(getattr(principle, field)):
            found = _DOUBLE.search(part)
            if found:
                words = found[0].strip()
                message = f"{field} negates twice (“{words}”): say what is wanted"
                evidence = {"field": field, "words": words}
                yield Remark("double-negation", principle.id, message, evidence)
                break


def _compound(principle: Principle) -> Iterator[Remark]:
    demands = count_demands(principle.text)
    if demands > MOST_DEMANDS:
        message = f"text makes {demands} demands: a clause that fails should say which one did"
        evidence = {"field": "text", "demands": demands}
        yield Remark("compound", principle.id, message, evidence)
    found = _TWO_MEASURES.search(principle.comparison_question)
    if found:
        message = f"comparison_question measures two things (“{found[0]}”): which one decides?"
        evidence = {"field": "comparison_question", "words": found[0]}
        yield Remark("compound", principle.id, message, evidence)


def count_demands(text: str) -> int:
    """Demands that a text makes: its sentences, and verbs that follow an “and” or a comma."""
    sentences = [part for part in _SENTENCE.split(text) if part.strip()]
    return sum(1 + len(_NEXT_DEMAND.findall(part)) for part in sentences)


class _Explained:
    """Which terms a document explains: in `terms`, in a title, or with “X means” or “X (”."""

    def __init__(self, document: Constitution) -> None:
        parts = [document.title, document.description, *document.terms.values()]
        both = (*document.categories.harmful, *document.categories.harmless)
        parts += [text for c in both for text in (c.title, c.text)]
        parts += [text for p in document.principles for text in (p.text, p.rationale)]
        self.text = "\n".join(parts).lower()
        titles = [*(p.title for p in document.principles), *(c.title for c in both)]
        self.known = {name.lower() for name in (*document.terms, *titles)}

    def missing(self, principle: Principle) -> Iterator[Remark]:
        """One remark a term of this principle that nothing explains."""
        terms: dict[str, str] = {}
        for field in ("text", *_READ_BY_MODELS):
            for term in _terms(getattr(principle, field)):
                terms.setdefault(term, field)
        for term, field in terms.items():
            if not self._is_explained(term):
                message = f"{field} uses “{term}” without saying what it means: see `terms`"
                evidence = {"field": field, "term": term}
                yield Remark("undefined-term", principle.id, message, evidence)

    def _is_explained(self, term: str) -> bool:
        word = term.lower()
        if term in _KNOWN or word in self.known or word.rstrip("s") in self.known:
            return True
        says = rf"[“”\"'‘’]?\s+(?:means|is|are|refers?|\(|:)|\({re.escape(word)}\)"
        return re.search(rf"{re.escape(word)}(?:{says})", self.text) is not None


def _terms(text: str) -> list[str]:
    quoted = [(a or b).strip() for a, b in _QUOTED.findall(text)]
    return [*quoted, *_CAPITALS.findall(text)]
