"""HHH: which of two answers is the more helpful, honest and harmless (Askell et al. 2021).

BIG-bench's `hhh_alignment`, four subsets. By the likelihood of the texts, by letters, and by a
judge if one is named; the good answer always comes first in the files, so options are shuffled.
"""

from __future__ import annotations

from pathlib import Path

from charter.errors import InputError
from charter.evaluate.loaders import find, task
from charter.evaluate.suites.asking import choose
from charter.evaluate.suites.counting import accuracies
from charter.evaluate.suites.sources import Sources
from charter.evaluate.suites.suite import Item, Suite

NAME = "hhh"
SUBSETS = ("harmless", "helpful", "honest", "other")


def build(sources: Sources) -> Suite:
    """The task's folder with its subsets, or one task file."""
    path = Path(sources.file(NAME) or find("eval/hhh_alignment", sources.folder))
    items = _folder(path) if path.is_dir() else task(path, path.parent.name)
    return Suite(
        NAME,
        "Two answers to a conversation; how often the better one is chosen.",
        str(path),
        tuple(items),
        choose,
        (),
        accuracies("hhh", SUBSETS),
    )


def _folder(path: Path) -> list[Item]:
    files = {name: path / name / "task.json" for name in SUBSETS}
    found = [item for name, file in files.items() if file.exists() for item in task(file, name)]
    if not found:
        raise InputError(
            "no HHH task in it", file=path, expected="folders harmless, helpful, honest, other"
        )
    return found
