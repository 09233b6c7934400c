"""What critics and judges are asked with: a clause's requests and question, with its exceptions.

A clause without exceptions is asked about in its author's words alone, so adding the first
exception is what changes them.
"""

from __future__ import annotations

from charter.constitution.clauses import Principle

LEAD = "Exception:"


def critique_request(principle: Principle) -> str:
    """What the critic is asked to point out."""
    return _heeding(principle.critique_request, principle)


def revision_request(principle: Principle) -> str:
    """What the critic is asked to rewrite."""
    return _heeding(principle.revision_request, principle)


def comparison_question(principle: Principle) -> str:
    """What a judge that compares is asked."""
    return _heeding(principle.comparison_question, principle)


def statement(principle: Principle) -> str:
    """What a judge that reads one answer is told."""
    return _heeding(principle.text, principle)


def _heeding(text: str, principle: Principle) -> str:
    # Plain concatenation: both are the author's words and may hold braces.
    return " ".join([text, *(f"{LEAD} {_sentence(e)}" for e in principle.exceptions)])


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
