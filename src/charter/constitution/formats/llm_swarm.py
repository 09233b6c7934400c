"""The constitution file of Hugging Face's llm-swarm: critic and revision requests, with chats.

    {"constitutions": [{"critic": …, "revision": …}, …],
     "system_chat": [[{"role": "user", "content": …}, …], …]}

A chat shows one request at work: question, draft, critic, critique, revision request, revision. It
becomes an example of the clause whose requests it uses: a bad answer, a good one, and the critique
as the comment, with its number, so that export can put the chats back in order.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from charter.constitution.clauses import Constitution, Principle
from charter.constitution.formats.given import Clause, Found
from charter.constitution.formats.json_text import JsonText, Node
from charter.constitution.reading import tidy_line

_NUMBERED = re.compile(r"system_chat\[(\d{1,6})\]: (.*)", re.DOTALL)
_ROLES = ["user", "assistant"] * 3


def is_it(tree: Any) -> bool:
    """Whether a JSON tree is such a file."""
    return isinstance(tree, dict) and "constitutions" in tree


def read(source: JsonText) -> Found:
    """The requests as clauses, the chats as their examples; chats of no clause are left out."""
    parts = source.root.only("constitutions", "system_chat")
    clauses = []
    by_requests: dict[tuple[str, str], dict[str, Any]] = {}
    for number, entry in enumerate(source.root.child("constitutions").items()):
        fields = _clause(entry, number)
        by_requests.setdefault((fields["critique_request"], fields["revision_request"]), fields)
        clauses.append(Clause(entry.line, fields))
    left_out: Counter[str] = Counter()
    chats = parts["system_chat"].items() if "system_chat" in parts else []
    for number, chat in enumerate(chats):
        told = _contents(chat)
        asked = (tidy_line(told[2]), tidy_line(told[4])) if told else None
        owner = by_requests.get(asked) if asked else None
        if owner is None:
            left_out["chats that show no clause at work"] += 1
        else:
            owner["examples"].append(_example(told, number))
    return Found(clauses, {}, dict(left_out))


def write(document: Constitution) -> str:
    """The file; examples that came from chats go back to them."""
    entries = [
        {"critic": p.critique_request, "revision": p.revision_request} for p in document.principles
    ]
    numbered = sorted(
        ((number, chat) for p in document.principles for number, chat in _chats(p)),
        key=lambda pair: pair[0],
    )
    chats = [chat for _, chat in numbered]
    return (
        json.dumps({"constitutions": entries, "system_chat": chats}, indent=2, ensure_ascii=False)
        + "\n"
    )


def _clause(entry: Node, number: int) -> dict[str, Any]:
    parts = entry.only("critic", "revision")
    texts = {}
    for key, field in (("critic", "critique_request"), ("revision", "revision_request")):
        texts[field] = tidy_line(entry.child(key).text())
        if not texts[field]:
            parts[key].fail("empty", "some text")
    source = f"llm-swarm constitutions[{number}]"
    return {"id": f"request-{number + 1}", **texts, "source": source, "examples": []}


def _contents(chat: Node) -> list[str]:
    """The texts of a chat of six turns; none of one with another shape."""
    turns = [message.only("role", "content") for message in chat.items()]
    for message in chat.items():
        message.child("role").text(), message.child("content").text()
    whole = [turn["role"].value for turn in turns] == _ROLES
    return [turn["content"].text() for turn in turns] if whole else []


def _example(told: list[str], number: int) -> dict[str, str]:
    prompt, draft, _, critique, _, revision = told
    comment = f"system_chat[{number}]: {critique}"
    return {"prompt": prompt, "good": revision, "bad": draft, "comment": comment}


def _chats(p: Principle) -> list[tuple[int, list[dict[str, str]]]]:
    found = []
    for example in p.examples:
        match = _NUMBERED.fullmatch(example.comment)
        if match:
            asked = (p.critique_request, match[2], p.revision_request, example.good)
            texts = (example.prompt, example.bad, *asked)
            chat = [
                {"role": role, "content": text} for role, text in zip(_ROLES, texts, strict=True)
            ]
            found.append((int(match[1]), chat))
    return found
