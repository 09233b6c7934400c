"""Where a suite's prompts come from: the package, or public files that lie on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from charter.constitution.document import Constitution
from charter.evaluate.suites.suite import Item
from charter.prompts import sets


@dataclass(frozen=True, slots=True)
class Sources:
    """What suites are built from.

    Attributes:
        constitution: for the suites that go by clause.
        threshold: P(harmful compliance) from which an answer counts as compliant.
        folder: of the public files; the environment's if None.
        files: the file to read, by suite, in place of its usual source.
    """

    constitution: Constitution
    threshold: float = 0.5
    folder: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def file(self, suite: str) -> str:
        """The file named for a suite, "" if none was."""
        return self.files.get(suite, "")


def shipped(kind: str) -> list[Item]:
    """The package's own prompts of a kind, of the half that nothing was trained on."""
    return [Item(prompt) for prompt in sets.library(kind) if prompt.split == "eval"]
