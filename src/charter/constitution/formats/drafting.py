"""The forms that an imported clause lacks, written from its text and marked as drafts.

A template cannot know what matters in a clause. So whoever gets a form from here also gets the tag
`draft` on its clause, and lint names the forms until a person has written them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from charter.constitution.clauses import Constitution, Principle
from charter.constitution.findings import Remark
from charter.constitution.formats.given import shortened

DRAFT = "draft"
FORMS = ("critique_request", "revision_request", "comparison_question")
_MOST = 320
_FROM_TEXT = {
    "critique_request": "Point out where the answer goes against this clause:",
    "revision_request": "Rewrite the answer so that it follows this clause:",
    "comparison_question": "Which answer follows this clause better?",
}
_FROM_REVISION = {"comparison_question": "Which answer needs this change less?"}
_FROM_COMPARISON = {
    "critique_request": "Point out where the answer does badly by this measure:",
    "revision_request": "Rewrite the answer so that it does better by this measure:",
}
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]+\]")
_SELF_LINK = re.compile(r"\[\?\]\(#([^)\s]+)\)")
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()\s]*\)")
_EMPHASIS = re.compile(r"\*{1,3}(?=\S)|(?<=\S)\*{1,3}")


def completed(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a clause with all its forms; tagged `draft` if one had to be written.

    Without a text the revision request, or else the comparison question, stands in for it.
    """
    text = fields.get("text", "")
    stand_in = fields.get("revision_request") or fields.get("comparison_question") or ""
    missing = [form for form in FORMS if not fields.get(form)]
    whole = {**fields, "text": text or stand_in or fields.get("title", "")}
    whole.setdefault("title", shortened(plain(whole["text"])))
    for form in missing:
        whole[form] = _form(form, whole, from_text=bool(text) or not stand_in)
    if missing or not text:
        whole["tags"] = [*dict.fromkeys([*fields.get("tags", ()), DRAFT])]
    return whole


def drafted(principle: Principle) -> tuple[str, ...]:
    """Fields of a clause that are still as a template wrote them."""
    forms = {form: getattr(principle, form) for form in FORMS}
    known = {"title": principle.title, "text": principle.text, **forms}
    found = [form for form in FORMS if forms[form] in _candidates(form, known)]
    stand_ins = (principle.revision_request, principle.comparison_question)
    return ("text", *found) if principle.text in stand_ins else tuple(found)


def drafts(document: Constitution) -> Iterator[Remark]:
    """One remark for each clause with the tag `draft`."""
    for principle in document.principles:
        if DRAFT in principle.tags:
            fields = drafted(principle)
            named = ", ".join(fields) or "no field is as it was"
            message = f"draft by a template ({named}): rewrite it, then take the tag away"
            yield Remark("draft", principle.id, message, {"fields": list(fields)})


def plain(text: str) -> str:
    """A text on one line, without footnotes, link targets and emphasis of Markdown."""
    text = _FOOTNOTE.sub("", text)
    text = _SELF_LINK.sub(lambda match: match[1].replace("_", " "), text)
    text = _EMPHASIS.sub("", _LINK.sub(r"\1", text))
    return " ".join(text.split())


def _form(form: str, fields: dict[str, Any], *, from_text: bool) -> str:
    candidates = _candidates(form, fields)
    return candidates[0] if from_text else candidates[-1]


def _candidates(form: str, fields: dict[str, Any]) -> list[str]:
    """What the templates make of a form: from the text first, then from another form."""
    made = [f"{_FROM_TEXT[form]} {_said(fields)}"]
    if form in _FROM_REVISION and fields.get("revision_request"):
        made.append(f"{_FROM_REVISION[form]} {fields['revision_request']}")
    if form in _FROM_COMPARISON and fields.get("comparison_question"):
        made.append(f"{_FROM_COMPARISON[form]} {fields['comparison_question']}")
    return made


def _said(fields: dict[str, Any]) -> str:
    """A short text whole; of a long one the title and how it begins."""
    text, title = plain(fields["text"]), plain(fields.get("title", ""))
    if len(text) <= _MOST:
        return text if not title or _begins(text, title) else f"{title}. {text}"
    return shortened(text if _begins(text, title) else f"{title}. {text}", _MOST)


def _begins(text: str, title: str) -> bool:
    return text.startswith(title.removesuffix("…"))
