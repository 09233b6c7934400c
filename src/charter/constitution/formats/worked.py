"""The examples of a Model Spec: a conversation, and answers marked good or bad.

    **Example**: what it is about
    ~~~xml
    <user>…</user>
    <comparison>
    <assistant> <!-- GOOD: why --> … </assistant>
    <assistant> <!-- BAD --> … </assistant>
    </comparison>
    ~~~

An `Example` holds one good and one bad answer, so a comparison of more answers becomes several.
The word in the mark (GOOD, OK, BAD) and its reason go into the comment. A block that is built in
another way is kept whole, as the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

EXAMPLE = re.compile(r"\*\*Example\*\*:?\s*(.*)")
"""The line before a block."""
_ROLES = "assistant|user|developer|system|tool|untrusted"
_TURN = re.compile(rf"<({_ROLES})\b([^>\n]*)>(.*?)</\1>", re.DOTALL)
_COMPARISON = re.compile(r"<comparison>(.*?)</comparison>", re.DOTALL)
_MARK = re.compile(r"\s*<!--\s*(GOOD|OK|BAD)\b(.*?)-->", re.DOTALL)


class _Answer(NamedTuple):
    mark: str
    note: str
    text: str


def examples(title: str, block: str) -> list[dict[str, str]]:
    """The fields of one `Example` or more.

    Args:
        title: what the block is about.
        block: the lines between its fences.
    """
    found: list[dict[str, str]] = []
    for comparison in _COMPARISON.finditer(block):
        answers = _answers(comparison[1])
        if not answers:
            return [_whole(title, block)]
        found += _paired(title, _prompt(block[: comparison.start()]), answers)
    after = _COMPARISON.split(block)[-1]
    if not found or after.strip():
        return [_whole(title, block)]
    return found


def _whole(title: str, block: str) -> dict[str, str]:
    return {"prompt": _prompt(block), "comment": title}


def _prompt(text: str) -> str:
    """What a single user says; anything longer as it is written, with its roles."""
    turns = list(_TURN.finditer(text))
    lone = len(turns) == 1 and turns[0][1] == "user" and not turns[0][2]
    return turns[0][3].strip("\n") if lone and not _TURN.sub("", text).strip() else text.strip("\n")


def _answers(text: str) -> list[_Answer]:
    """All answers of a comparison; none if one of them has no mark or something else is there."""
    found = []
    for turn in _TURN.finditer(text):
        mark = _MARK.match(turn[3])
        if turn[1] != "assistant" or mark is None:
            return []
        said = turn[3][mark.end() :].strip("\n")
        note = " ".join((mark[1] + mark[2]).split())
        found.append(_Answer(mark[1], f"{note}{_attributes(turn[2])}", said))
    return [] if _TURN.sub("", text).strip() else found


def _attributes(text: str) -> str:
    return f" ({text.strip()})" if text.strip() else ""


def _paired(title: str, prompt: str, answers: Sequence[_Answer]) -> list[dict[str, str]]:
    good = [answer for answer in answers if answer.mark != "BAD"]
    bad = [answer for answer in answers if answer.mark == "BAD"]
    found = []
    for better, worse in zip_longest(good, bad):
        notes = [side.note for side in (better, worse) if side and side.note not in ("GOOD", "BAD")]
        found.append(
            {
                "prompt": prompt or title,
                "good": better.text if better else "",
                "bad": worse.text if worse else "",
                "comment": "\n".join([title, *notes]),
            }
        )
    return found
