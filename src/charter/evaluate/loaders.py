"""Public evaluation files as they lie on disk; nothing is bundled that we did not write.

Owns their columns and what is wrong with a row. It knows no metric. Where the files lie: the
folder that is given, else that of the environment variable CHARTER_DATA.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from charter.errors import DataError, InputError
from charter.evaluate.suites.asking import shuffled
from charter.evaluate.suites.suite import Item
from charter.prompts import sets
from charter.records import Message, Prompt, digest

FOLDER = "CHARTER_DATA"
"""Environment variable with the folder of the public files."""
_TEXTS = (*sets.TEXT_FIELDS, "prompts_final", "prompt_text", "en")
"""Columns that hold the prompt, by the sets that we know; the first one found is read."""
_CATEGORIES = ("category", "type", "SemanticCategory", "Category", "harm_area", "hazard", "source")
_UNKNOWN = "unknown"


def find(name: str, folder: str | Path | None = None) -> Path:
    """The path of a public file, by its name in the folder of data.

    Raises:
        InputError: no folder is known, or the file is not in it.
    """
    root = folder or os.environ.get(FOLDER)
    if not root:
        raise InputError(
            f"the suite reads the public file {name}, which is not bundled",
            expected=f"--data DIR, the variable {FOLDER}, or SUITE=FILE",
        )
    path = Path(root) / name
    if not path.exists():
        raise InputError("no such file", file=path, expected="a public data set; see the docs")
    return path


def prompts(path: str | Path, kind: str) -> list[Item]:
    """Prompts of any of the public sets, one turn each; `category` as the set says it."""
    found = []
    for line, row in sets.rows(str(path)):
        text = _first(row, _TEXTS)
        if not isinstance(row, Mapping) or (text is None and "messages" not in row):
            raise DataError(
                "has no prompt", file=path, line=line, expected=f"one of {', '.join(_TEXTS)}"
            )
        plain = dict(row) if text is None else {"text": text}
        prompt = sets.prompt_of(plain, kind, str(path), line)
        category = str(_first(row, _CATEGORIES) or "")
        context = str(row.get("ContextString") or "").strip()
        messages = prompt.messages
        if context:  # HarmBench: a passage that the behaviour is about
            messages = (Message("user", f"{context}\n\n{messages[-1].content}"),)
        prompt = Prompt(f"{kind}-{digest(messages)}", messages, kind, category, "eval")
        found.append(Item(prompt, facts={str(k): str(v) for k, v in _facts(row)}))
    return _distinct(found, path)


def task(path: str | Path, subset: str = "") -> list[Item]:
    """A BIG-bench task with `target_scores`: the option with the highest score is right.

    `hhh_alignment` writes whole dialogues, turns marked by a blank line and who speaks.
    """
    found = []
    for number, row in enumerate(_examples(path), 1):
        scores = row.get("target_scores")
        if not isinstance(scores, dict) or len(scores) < 2:
            raise _wrong(path, number, "target_scores", "at least two options with scores")
        best = max(scores, key=lambda option: scores[option])
        found.append(_choice(_turns(row["input"]), list(scores), best, {"subset": subset}))
    return _distinct(found, path)


def truthful(path: str | Path) -> list[Item]:
    """BIG-bench's TruthfulQA: the best answer among the false ones (the paper's MC1)."""
    found = []
    for number, row in enumerate(_examples(path), 1):
        try:
            best, false = row["Best answer"], list(row["False answers"])
            messages = (Message("user", row["Question"]),)
        except KeyError as error:
            raise _wrong(path, number, str(error.args[0]), "a TruthfulQA example") from error
        found.append(_choice(messages, [best, *false], best, {"subset": row.get("Category", "")}))
    return _distinct(found, path)


def model_written(path: str | Path) -> list[Item]:
    """Model-written evaluations (Perez et al. 2022): does the model say what the behaviour says?"""
    found = []
    for line, row in sets.rows(str(path)):
        try:
            matching, other = row["answer_matching_behavior"], row["answer_not_matching_behavior"]
            messages = (Message("user", row["question"]),)
        except (KeyError, TypeError) as error:
            raise DataError(
                "is no model-written question", file=path, line=line, expected="question, answers"
            ) from error
        if not isinstance(matching, str) or not isinstance(other, str):
            continue  # a few rows have several matching answers
        facts = {"subset": str(row.get("behavior") or Path(path).stem)}
        options = [matching.strip(), other.strip()]
        found.append(_choice(messages, options, options[0], facts))
    return _distinct(found, path)


def bbq(path: str | Path) -> list[Item]:
    """BBQ (Parrish et al. 2022). Facts: `condition`, `category`, `biased` and `unknown`, places.

    `biased` is the option that the stereotype expects: of a negative question the stereotyped
    group, of another one the other group. It is absent where the file does not let it be told.
    """
    found = []
    for line, row in sets.rows(str(path)):
        try:
            answers = [row[f"ans{i}"] for i in range(3)]
            groups = [row["answer_info"][f"ans{i}"] for i in range(3)]
            stereotyped = row["additional_metadata"]["stereotyped_groups"]
            text = f"{row['context']} {row['question']}"
            right, condition = answers[int(row["label"])], row["context_condition"]
            negative, category = row["question_polarity"] == "neg", row["category"]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(
                f"is no BBQ row: {error}", file=path, line=line, expected="ans0, answer_info, label"
            ) from error
        unknown = [i for i in range(3) if groups[i][1] == _UNKNOWN]
        biased = _biased(answers, groups, stereotyped, negative)
        item = _choice((Message("user", text),), answers, right, {})
        places = {answer: str(item.options.index(answer)) for answer in answers}
        facts = {"condition": condition, "category": category}
        facts |= {"unknown": places[answers[unknown[0]]]} if unknown else {}
        facts |= {"biased": places[answers[biased]]} if biased is not None else {}
        found.append(Item(item.prompt, item.options, item.right, facts=facts))
    return _distinct(found, path)


def _biased(
    answers: list[str], groups: list[list[str]], stereotyped: list[str], negative: bool
) -> int | None:
    """Place of the answer that fits the stereotype; None if groups and answers do not meet."""
    people = [i for i in range(3) if groups[i][1] != _UNKNOWN]
    names = [str(name).lower() for name in stereotyped]
    hit = [i for i in people if groups[i][1].lower() in names]
    if len(hit) != 1:
        words = [f"{answers[i]} {groups[i][0]}".lower() for i in people]
        hit = [
            i
            for i, text in zip(people, words, strict=True)
            if any(re.search(rf"\b{re.escape(name)}\b", text) for name in names)
        ]
    if len(hit) != 1 or len(people) != 2:
        return None
    (other,) = (i for i in people if i != hit[0])
    return hit[0] if negative else other


def _choice(
    messages: tuple[Message, ...], options: list[str], right: str, facts: dict[str, str]
) -> Item:
    id = f"choice-{digest([messages, sorted(options)])}"
    mixed = shuffled([*dict.fromkeys(options)], id)
    return Item(Prompt(id, messages, "choice", split="eval"), mixed, mixed.index(right), "", facts)


def _turns(text: str) -> tuple[Message, ...]:
    """A dialogue in BIG-bench's HHH format, or one question."""
    marked = re.sub(r"\A\s*(?=(?:Human|Assistant):)", "\n\n", text)
    try:
        turns = sets.hh_turns(marked) if marked.startswith("\n\n") else ()
    except ValueError:
        turns = ()
    # A dialogue that ends with the assistant's mark waits for its answer.
    if turns and turns[-1].role == "assistant" and not turns[-1].content:
        turns = turns[:-1]
    return turns or (Message("user", text.strip()),)


def _examples(path: str | Path) -> Iterator[dict[str, Any]]:
    try:
        tree = json.loads(Path(path).read_text(encoding="utf-8"))
        yield from tree["examples"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"cannot be read: {error}", file=path, expected="a BIG-bench task with examples"
        ) from error


def _first(row: Any, names: tuple[str, ...]) -> Any:
    found = (row.get(name) for name in names) if isinstance(row, Mapping) else iter(())
    return next((value for value in found if isinstance(value, str) and value.strip()), None)


def _facts(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, row[name]) for name in ("label", "type") if isinstance(row.get(name), str))


def _distinct(items: list[Item], path: str | Path) -> list[Item]:
    """Items by the id of their prompt, since files repeat themselves."""
    if not items:
        raise DataError("nothing in it", file=path, expected="at least one row")
    return list({item.prompt.id: item for item in items}.values())


def _wrong(path: str | Path, number: int, field: str, expected: str) -> DataError:
    return DataError(f"example {number} is not usable", file=path, field=field, expected=expected)
