"""Labels as annotated pairs of Inverse Constitutional AI, and annotated pairs as labels.

A verdict becomes the default annotator's preference, and every principle that voted becomes an
annotator of its own. Probabilities stand beside the preferences, under keys that other readers of
the format pass over, so that labels come back as they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from charter.constitution.document import Constitution
from charter.errors import DataError
from charter.formats.annotated_pairs import (
    AnnotatedPair,
    AnnotatedPairs,
    Annotation,
    Annotator,
)
from charter.records import (
    Abstention,
    Comparison,
    Labelled,
    Message,
    Origin,
    PrincipleVote,
    Prompt,
    Verdict,
)

TIE = "tie"
PROMPT, ORIGIN, VERDICT = "charter_prompt", "charter_origin", "charter_verdict"
"""Keys of the metadata. Others lay metadata beside the fields of a pair, so names must differ."""
METADATA = ("kind", PROMPT, ORIGIN, VERDICT)
_VERDICT = "charter verdict"
"""Name of the default annotator; an id of a principle has no spaces."""
_ROLES = {"user": "Human", "assistant": "Assistant", "system": "System"}


def annotators(constitution: Constitution, judge: str) -> dict[str, Annotator]:
    """The default annotator, which is the verdict, and then one for each principle.

    A principle is described by its comparison question, which is what the votes answer.
    """
    verdict = (
        f"Verdict of judge {judge} under constitution {constitution.name}"
        f" {constitution.version} ({constitution.digest})"
    )
    found = {annotator_id(verdict): Annotator(verdict, "ai", _VERDICT)}
    for principle in constitution.principles:
        id = annotator_id(principle.comparison_question)
        # Two principles may ask the same question.
        id = annotator_id(principle.digest) if id in found else id
        found[id] = Annotator(principle.comparison_question, "principle", principle.id)
    return found


def annotator_id(description: str) -> str:
    """Eight hex digits of the description, as `inverse-cai` names its annotators."""
    return hashlib.md5(description.encode(), usedforsecurity=False).hexdigest()[:8]


def pair(labelled: Labelled, known: dict[str, Annotator]) -> AnnotatedPair:
    """A verdict as an annotated pair.

    Args:
        labelled: a record with a verdict.
        known: from `annotators`; a vote of a principle that is not in it stands in the metadata
            alone.
    """
    comparison, verdict = labelled.comparison, labelled.label
    assert isinstance(verdict, Verdict), "an abstention prefers nothing"
    by_name = {one.name: id for id, one in known.items()}
    annotations = {by_name[_VERDICT]: _annotation(verdict.p_a, {})}
    for vote in verdict.votes:
        if vote.principle in by_name:
            reading = {"p_as_given": vote.p_as_given, "p_swapped": vote.p_swapped}
            annotations[by_name[vote.principle]] = _annotation(vote.p_a, reading)
    return AnnotatedPair(
        comparison.id,
        transcript(comparison.prompt.messages),
        {"text": comparison.a, "model": comparison.origin.model},
        {"text": comparison.b, "model": comparison.origin.model},
        annotations,
        {
            "kind": comparison.prompt.kind,
            PROMPT: _json(comparison.prompt),
            ORIGIN: _json(comparison.origin),
            VERDICT: _json(verdict),
        },
    )


def transcript(messages: Sequence[Message]) -> str:
    """A conversation as one text; a single question stands as it is."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].content
    return "\n\n".join(f"{_ROLES[m.role]}: {m.content}" for m in messages)


def labels(pairs: AnnotatedPairs, annotator: str = "") -> Iterator[Labelled]:
    """What an annotator says, as labels: hard ones, unless charter wrote the file.

    Args:
        pairs: a file that `annotated_pairs.read` has read.
        annotator: its id; the file's default annotator if not given. For any other annotator the
            label is that annotator's opinion alone.

    Yields:
        a record a pair. No preference is an `Abstention` with the file's reason, a tie is a
        `Verdict` at 1/2.

    Raises:
        DataError: there is no such annotator.
    """
    id = annotator or pairs.default_annotator
    if id not in pairs.annotators:
        known = ", ".join(list(pairs.annotators)[:8])
        raise DataError(f"no annotator {id!r}", field="annotators", expected=f"one of {known}")
    who = pairs.annotators[id]
    whole = id == pairs.default_annotator and who.name == _VERDICT
    for one in pairs.comparisons:
        if whole and VERDICT in one.metadata:
            yield Labelled(_comparison(one), _stored(one, VERDICT, Verdict))
        else:
            yield Labelled(_comparison(one), _label(one, id, who))


def _annotation(p_a: float, reading: dict[str, float]) -> Annotation:
    extra = {"p_a": p_a, **reading}
    if p_a == 0.5:
        return Annotation(None, TIE, extra)
    return Annotation("a" if p_a > 0.5 else "b", "", extra)


def _json(record: Any) -> str:
    return msgspec.json.encode(record).decode()


def _label(one: AnnotatedPair, id: str, who: Annotator) -> Verdict | Abstention:
    judge = f"annotator@{id}"
    found = one.annotations.get(id)
    if found is None:
        return Abstention(one.id, "not_annotated", judge)
    p = _probability(found)
    if p is None:
        return Abstention(one.id, found.reason or "no_preference", judge)
    vote = PrincipleVote(who.name or id, p, p)
    return Verdict(one.id, p, (vote,) if who.type == "principle" else (), judge)


def _probability(found: Annotation) -> float | None:
    stated = found.extra.get("p_a")
    if isinstance(stated, float | int) and 0 <= stated <= 1:
        return float(stated)
    if found.pref is None:
        return 0.5 if found.reason == TIE else None
    return 1.0 if found.pref == "a" else 0.0


def _comparison(one: AnnotatedPair) -> Comparison:
    if ORIGIN in one.metadata and PROMPT in one.metadata:
        prompt, origin = _stored(one, PROMPT, Prompt), _stored(one, ORIGIN, Origin)
    else:
        prompt = Prompt(one.id, (Message("user", one.prompt or ""),))
        origin = Origin("annotated_pairs", str(one.response_a.get("model", "")))
    return Comparison(one.id, prompt, one.response_a["text"], one.response_b["text"], origin)


def _stored(one: AnnotatedPair, key: str, type_: Any) -> Any:
    try:
        return msgspec.json.decode(one.metadata[key], type=type_)
    except (msgspec.MsgspecError, TypeError) as error:
        raise DataError(
            f"damaged {key}: {error}", field=f"comparisons.{one.id}.metadata"
        ) from error
