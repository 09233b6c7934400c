"""`charter interop tasks`: suites as a task file of Inspect, with their prompts beside it.

    OUT/
    ├── charter_tasks.py    tasks for `inspect eval`; imports charter for the reading of refusals
    └── <suite>.jsonl       prompts, options and keys, in Inspect's format of samples

Suites that write are read by the lexical refusal scorer, which needs no model; suites that choose
are Inspect's own multiple choice. A suite that asks in several turns does not fit and is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from charter.constitution import document
from charter.errors import StoreError, boundary
from charter.evaluate.suites import asking
from charter.evaluate.suites.catalogue import build
from charter.evaluate.suites.sources import Sources
from charter.evaluate.suites.suite import Item, Suite
from charter.records import Record
from charter.store import write_atomic

FILE = "charter_tasks.py"
SUITES = ("harm", "over_refusal")
"""Suites whose prompts ship with the package and whose reading needs no model."""
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SKIPPED = "asks in several turns, or scores likelihoods; Inspect's tasks here ask once"


class Written(Record, frozen=True):
    """What was written."""

    file: str
    tasks: dict[str, int]
    """Suite → samples."""
    skipped: dict[str, str]

    def text(self) -> str:
        """For people."""
        listed = [f"  {name}  {n} samples" for name, n in self.tasks.items()]
        listed += [f"  {name}  skipped: {why}" for name, why in self.skipped.items()]
        return "\n".join([f"Tasks: {self.file}", *listed])


def write(
    out: str | Path,
    suites: Sequence[str] = SUITES,
    *,
    data: str | None = None,
    limit: int | None = None,
) -> Written:
    """Write suites as tasks.

    Args:
        out: folder to write to.
        suites: names; some read public files.
        data: folder of the public files.
        limit: first prompts of each suite.

    Raises:
        InputError: there is no such suite, or its file is missing.
        StoreError: the disk is full or read-only.
    """
    sources, folder = Sources(document.load("default"), folder=data), Path(out)
    built = [suite.cut(limit) for suite in build(suites, sources)]
    fitting = [suite for suite in built if suite.ask in (asking.write, asking.choose)]
    with boundary(StoreError, f"making folder {folder}", catch=(OSError,)):
        folder.mkdir(parents=True, exist_ok=True)
    for suite in fitting:
        lines = (msgspec.json.encode(sample(item)) + b"\n" for item in suite.items)
        write_atomic(folder / f"{suite.name}.jsonl", b"".join(lines))
    write_atomic(folder / FILE, _task_file(fitting).encode())
    skipped = {suite.name: _SKIPPED for suite in built if suite not in fitting}
    return Written(str(folder / FILE), {s.name: len(s.items) for s in fitting}, skipped)


def sample(item: Item) -> dict[str, Any]:
    """An item in Inspect's format of samples."""
    prompt = item.prompt
    found: dict[str, Any] = {
        "id": prompt.id,
        "input": [{"role": m.role, "content": m.content} for m in prompt.messages],
        "target": "" if item.right is None else _LETTERS[item.right],
        "metadata": {"kind": prompt.kind, "category": prompt.category, **item.facts},
    }
    return {**found, "choices": [*item.options]} if item.options else found


def _task_file(suites: Sequence[Suite]) -> str:
    """The template with one task a suite. Names come from the catalogue, not from people."""
    package = resources.files("charter.interop") / "templates"
    head = (package / "tasks.txt").read_text(encoding="utf-8")
    tasks = [
        f"@task\ndef {s.name}() -> Task:\n    {s.about!r}\n"
        f"    return {'choosing' if s.ask is asking.choose else 'writing'}({s.name!r})\n"
        for s in suites
    ]
    return "\n\n".join([head.rstrip() + "\n", *tasks])
