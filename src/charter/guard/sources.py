"""Where base prompts come from: the package's libraries by category, and a user's own file.

Owns matching prompts to the categories of a constitution, and which clauses a row cites when it has
no category. Calls no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any, NamedTuple

from charter.constitution.document import Category, Constitution
from charter.constitution.drawing import GENERAL
from charter.errors import DataError
from charter.guard.examples import Label, LabelledAnswer
from charter.prompts import sets
from charter.prompts.chains import worked_chains
from charter.records import Prompt

HARM = "harm"
_LIBRARY = resources.files("charter.guard") / "library"
_WORDS: dict[str, Label] = {
    **dict.fromkeys(("harmful", "1", "true", "unsafe"), "harmful"),
    **dict.fromkeys(("harmless", "0", "false", "safe", "benign"), "harmless"),
}


class Given(NamedTuple):
    """A base prompt that need not be made, with answers that are known or have to be judged.

    Attributes:
        prompt: the conversation.
        label: of the prompt.
        category: of the constitution, or "".
        source: `library` or `file`.
        answers: with a label.
        unjudged: answers whose label a scorer must give.
    """

    prompt: Prompt
    label: Label
    category: str
    source: str
    answers: tuple[LabelledAnswer, ...] = ()
    unjudged: tuple[str, ...] = ()


def categories(constitution: Constitution) -> dict[str, tuple[Label, Category]]:
    """Every category by id, with its side."""
    both = constitution.categories
    found: dict[str, tuple[Label, Category]] = {c.id: ("harmful", c) for c in both.harmful}
    return {**found, **{c.id: ("harmless", c) for c in both.harmless}}


def fallback_clauses(constitution: Constitution, label: Label) -> tuple[str, ...]:
    """Clauses for a row without a category.

    Harmful: the principles tagged both `harm` and `general`. Harmless: the one that most harmless
    categories cite. Where there are none, all that the side's categories cite, or else all.
    """
    both = constitution.categories
    side = both.harmful if label == "harmful" else both.harmless
    cited = Counter(id for category in side for id in category.principles)
    general = [p.id for p in constitution.principles if {HARM, GENERAL} <= set(p.tags)]
    if label == "harmful" and general:
        return tuple(general)
    if label == "harmless" and cited:
        return (cited.most_common(1)[0][0],)
    return tuple(cited) or tuple(p.id for p in constitution.principles)


def by_category(constitution: Constitution) -> dict[str, list[Given]]:
    """The library's prompts for each category of the constitution, by category id.

    A prompt belongs to the category that has the name of its own. Prompts of the library's harmful
    kinds go to harmful categories only, the others to harmless ones.
    """
    known = categories(constitution)
    found: dict[str, list[Given]] = {id: [] for id in known}
    for given in _shipped():
        side = known.get(given.category)
        if side is not None and side[0] == given.label:
            found[given.category].append(given)
    return found


def pool(constitution: Constitution) -> list[Given]:
    """The benign pool: ordinary, borderline and long prompts, in no category of the constitution.

    The long ones are essays, stories, code and business mails: without them a guard learns that
    long is harmful. The tasks are next to harmful ones in form and matter.
    """
    known = categories(constitution)
    taken = {id for id, (label, _) in known.items() if label == "harmless"}
    chains = (g for g in _chains() if g.label == "harmless")
    given = [
        *_prompts("benign"),
        *_prompts("borderline"),
        *_own("benign_long"),
        *_own("harmless_tasks"),
        *chains,
    ]
    return [g._replace(category="") for g in given if g.category not in taken]


def harmful_tasks() -> list[Given]:
    """Requests in the imperative, of categories that a constitution may or may not have."""
    return _own("harmful_tasks", "harmful")


def from_file(file: str, constitution: Constitution) -> Iterator[Given]:
    """A user's own examples: JSONL or CSV with `text` and `label`, maybe `category` and `answer`.

    `label` is of the answer where there is one. A harmful answer has a harmful prompt; a harmless
    one says nothing of its prompt, whose label then stands in `prompt_label`, or is harmless.

    Raises:
        DataError: names file, line and field.
    """
    known, count = categories(constitution), 0
    for number, row in sets.rows(file):
        count += 1
        if not isinstance(row, Mapping):
            raise DataError("not an object", file=file, line=number, expected="text and label")
        yield _own_row(row, known, file, number)
    if not count:
        raise DataError("no examples in it", file=file, expected="at least one row")


def merged(given: Iterable[Given]) -> list[Given]:
    """The same, each prompt once, with the answers of all of its rows."""
    found: dict[str, Given] = {}
    for row in given:
        first = found.setdefault(row.prompt.id, row)
        if first is not row:
            found[row.prompt.id] = first._replace(answers=first.answers + row.answers)
    return list(found.values())


def _own_row(
    row: Mapping[str, Any], known: Mapping[str, tuple[Label, Category]], file: str, line: int
) -> Given:
    label = _label(row, "label", file, line)
    answer = str(row.get("answer") or "").strip()
    category = str(row.get("category") or "").strip()
    if category and category not in known:
        raise DataError(
            f"no category {category!r} in the constitution",
            file=file,
            line=line,
            field="category",
            expected=", ".join(known) or "none, since the document has no categories",
        )
    stated = row.get("prompt_label")
    about = label if stated in (None, "") else _label(row, "prompt_label", file, line)
    if category and known[category][0] != about:
        raise DataError(
            f"{category!r} is a {known[category][0]} category",
            file=file,
            line=line,
            field="label",
            expected=known[category][0],
        )
    prompt = sets.prompt_of({**row, "category": category}, "own", file, line)
    answers = (LabelledAnswer(answer, label, "file"),) if answer else ()
    return Given(prompt, about, category, "file", answers)


def _label(row: Mapping[str, Any], field: str, file: str, line: int) -> Label:
    value = row.get(field)
    word = str(value).strip().casefold() if value is not None else ""
    if word not in _WORDS:
        raise DataError(
            f"is {value!r}",
            file=file,
            line=line,
            field=field,
            expected="harmful or harmless (1 or 0)",
        )
    return _WORDS[word]


def _shipped() -> Iterator[Given]:
    yield from _prompts("redteam")
    yield from harmful_tasks()
    yield from _own("harmless")
    yield from _prompts("borderline")
    yield from _chains()


def _prompts(kind: str) -> list[Given]:
    label: Label = "harmful" if kind == "redteam" else "harmless"
    return [Given(p, label, p.category, "library") for p in sets.library(kind)]


def _own(name: str, label: Label = "harmless") -> list[Given]:
    return [
        Given(prompt, label, prompt.category, "library")
        for prompt in sets.load(str(_LIBRARY / f"{name}.jsonl"), name)
    ]


def _chains() -> Iterator[Given]:
    """Worked chains: the revision was written to be harmless; of the draft nobody knows."""
    for number, chain in enumerate(worked_chains(), 1):
        harmful = chain.kind == "harmful"
        row = {"id": chain.id, "text": chain.prompt, "category": chain.category}
        kind = "redteam" if harmful else chain.kind
        yield Given(
            sets.prompt_of(row, kind, "library/chains.jsonl", number),
            "harmful" if harmful else "harmless",
            chain.category,
            "library",
            (LabelledAnswer(chain.revision, "harmless", "library"),),
            (chain.draft,) if harmful else (),
        )
