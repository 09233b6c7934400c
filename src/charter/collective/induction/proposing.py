"""Asking a model why answers were preferred: a few pairs a request, one principle a line.

Owns the requests and the reading of answers; a line that cannot be used is counted by reason. What
the model read and what it wrote are data: a proposal is only ever a text to be tested.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from charter.collective.induction.candidates import Candidate, Wording
from charter.collective.induction.naming import distinct_ids
from charter.collective.induction.scripted import question
from charter.constitution.formats.given import shortened
from charter.constitution.reading import forbidden, tidy_line
from charter.prompts.templates import render, templates_digest
from charter.records import Comparison, Completion, Message, Model, Request, Sampling
from charter.seeds import derive, draws

TEMPLATES = templates_digest("induce_propose", "induce_pair")
LONGEST_TEXT, LONGEST_RULE, SHORTEST_RULE = 1200, 240, 3
_RULE = re.compile(r"^\W*PRINCIPLE\W*:[\s*]*(?P<text>\S.*?)[\s*]*$", re.MULTILINE | re.IGNORECASE)
_SAMPLING = Sampling(max_tokens=160, temperature=0.7)


@dataclass(frozen=True, slots=True)
class Proposed:
    """Candidates, and how many answers or lines could not be used, by reason."""

    candidates: tuple[Candidate, ...]
    left_out: dict[str, int]
    asked: int


def propose(
    model: Model,
    comparisons: Sequence[Comparison],
    signs: Sequence[int],
    *,
    requests: int,
    pairs: int,
    seed: int,
) -> Proposed:
    """Ask for principles.

    Args:
        model: anything that writes.
        comparisons: the training pairs.
        signs: 1 where A was preferred, -1 where B was.
        requests: how many requests; each shows other pairs while there are any.
        pairs: how many pairs a request shows.
        seed: of which pairs are shown together, and of the requests.
    """
    asked = list(_shown(len(comparisons), requests, pairs, seed))
    completions = model.generate(
        [_request(places, comparisons, signs, seed, n) for n, places in enumerate(asked)]
    )
    left_out: Counter[str] = Counter()
    found: dict[str, Candidate] = {}
    for completion in completions:
        for one in _read(completion):
            if isinstance(one, str):
                left_out[one] += 1
                continue
            key = one.wording.text.lower()
            held = found.setdefault(key, one)
            found[key] = replace(held, shown=held.shown + 1)
    return Proposed(
        tuple(distinct_ids(list(found.values()))), dict(sorted(left_out.items())), len(asked)
    )


def _shown(total: int, requests: int, pairs: int, seed: int) -> Iterator[list[int]]:
    """Places of the pairs of each request: all pairs in turn, in an order of their own a round."""
    places: list[int] = []
    for number in range(requests):
        if len(places) < min(pairs, total):
            fresh = list(range(total))
            draws("induce-shown", seed, number).shuffle(fresh)
            places += fresh
        yield places[:pairs]
        places = places[pairs:]


def _request(
    places: Sequence[int],
    comparisons: Sequence[Comparison],
    signs: Sequence[int],
    seed: int,
    number: int,
) -> Request:
    shown = "\n\n".join(_pair(n, comparisons[i], signs[i]) for n, i in enumerate(places, start=1))
    text = render("induce_propose", pairs=shown)
    return Request((Message("user", text),), _SAMPLING, derive("induce-propose", seed, number))


def _pair(number: int, comparison: Comparison, sign: int) -> str:
    better, worse = (comparison.a, comparison.b) if sign > 0 else (comparison.b, comparison.a)
    return render(
        "induce_pair",
        number=str(number),
        question=_cut(question(comparison)),
        preferred=_cut(better),
        other=_cut(worse),
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} […]"


def _read(completion: Completion) -> Iterator[Candidate | str]:
    if completion.finish == "error":
        yield f"no answer: {completion.failure or 'error'}"
        return
    lines = [tidy_line(match["text"]) for match in _RULE.finditer(completion.text)]
    if not lines:
        yield "answer not in the form asked for"
    for text in lines:
        yield _checked(text)


def _checked(text: str) -> Candidate | str:
    if forbidden(text):
        return "unprintable text"
    if len(text) > LONGEST_RULE:
        return "too long"
    if len(text.split()) < SHORTEST_RULE:
        return "too short"
    asks = f"Which answer follows this principle better: {text}"
    return Candidate("", Wording(shortened(text), text, asks), "model")
