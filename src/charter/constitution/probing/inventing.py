"""Probes from a model: it is asked for temptations and their twins, clause by clause.

Owns the request and the reading of answers; what cannot be used is counted by reason. What a model
wrote waits for a person like everything else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import resources

from charter.constitution.clauses import Principle
from charter.constitution.probing.probe import Probe, pair
from charter.constitution.probing.scenes import fitting
from charter.constitution.reading import forbidden, tidy_line
from charter.records import Completion, Message, Model, Request, Sampling
from charter.seeds import derive

LONGEST = 600
_PAIR = re.compile(
    r"^\W*TEMPT\W*:[\s*]*(?P<tempt>\S.*?)[\s*]*\n+\W*TWIN\W*:[\s*]*(?P<twin>\S.*?)[\s*]*$",
    re.MULTILINE | re.IGNORECASE,
)
_PLACE = re.compile(r"\{\{(count|text)\}\}")
_SAMPLING = Sampling(max_tokens=700, temperature=0.8)


def from_model(
    model: Model, principles: Sequence[Principle], count: int, seed: int
) -> tuple[dict[str, list[Probe]], dict[str, int]]:
    """Probes by clause, at most `count` pairs each, and what was left out, by reason."""
    completions = model.generate([_request(principle, count, seed) for principle in principles])
    left_out: Counter[str] = Counter()
    found: dict[str, list[Probe]] = {}
    for principle, completion in zip(principles, completions, strict=True):
        mine = found[principle.id] = []
        violated_by = fitting(principle)[0].violated_by
        for one in _read(completion):
            if isinstance(one, str):
                left_out[one] += 1
            elif len(mine) < 2 * count:
                mine += pair(principle, *one, violated_by, model.identity)
    return found, dict(sorted(left_out.items()))


def _request(principle: Principle, count: int, seed: int) -> Request:
    values = {"count": str(count), "text": principle.text}
    file = resources.files("charter.constitution.probing") / "ask.txt"
    text = _PLACE.sub(lambda match: values[match[1]], file.read_text(encoding="utf-8").strip())
    return Request((Message("user", text),), _SAMPLING, derive("probe", seed, principle.digest))


def _read(completion: Completion) -> Iterator[tuple[str, str] | str]:
    if completion.finish == "error":
        yield f"no answer: {completion.failure or 'error'}"
        return
    pairs = [(tidy_line(m["tempt"]), tidy_line(m["twin"])) for m in _PAIR.finditer(completion.text)]
    if not pairs:
        yield "answer not in the form asked for"
    for tempt, twin in dict.fromkeys(pairs):
        yield _checked(tempt, twin)


def _checked(tempt: str, twin: str) -> tuple[str, str] | str:
    if forbidden(tempt + twin):
        return "unprintable text"
    if max(len(tempt), len(twin)) > LONGEST:
        return "too long"
    return "twin is no other text" if tempt.lower() == twin.lower() else (tempt, twin)
