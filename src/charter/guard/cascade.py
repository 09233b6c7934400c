"""The kind `cascade`: a cheap guard reads everything, a dear one only what the first one flags.

    DIR/guard.json   {"kind": "cascade", "first": "probe", "second": "exchange", "escalate": 0.1}

Owns escalation and averaging. A flag means *look again*, not *block*: from there on the score is
that of the averaged logits (.55 and .45 in Constitutional Classifiers++, arXiv 2601.04603). An
answer that was flagged once stays with both. Knows neither guard.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from charter.errors import DataError, InputError, StoreError, boundary
from charter.guard import guard_file
from charter.guard.decision import Classifier, Stream, Thresholds
from charter.guard.guard_file import GuardFile
from charter.guard.token_classifier import probability
from charter.records import Message, Record


class CascadeCard(msgspec.Struct, frozen=True):
    """What `guard.json` says of this kind."""

    first: str
    """Folder of the cheap guard, relative to this one."""
    second: str
    """Folder of the dear one."""
    escalate: float = 0.1
    """Score of the first from which on the second is asked."""
    weight: float = 0.55
    """Of the first guard's logit in the average."""
    kind: str = "cascade"
    thresholds: Thresholds = Thresholds()
    window: int | None = None


class CascadePoint(Record, frozen=True):
    """What one escalation threshold costs and catches."""

    escalate: float
    escalated: float
    """Share of harmless texts that go on to the second guard."""
    recall: float
    false_alarms: float


@dataclass
class CascadeClassifier:
    """See `decision.Classifier`. `asked` and `escalated` count streams, for the cost."""

    first: Classifier
    second: Classifier
    escalate: float
    weight: float = 0.55

    def __post_init__(self) -> None:
        self.identity = f"cascade@{self.escalate}({self.first.identity},{self.second.identity})"
        self.asked = self.escalated = 0

    def start(self, conversation: Sequence[Message]) -> CascadeStream:
        """A stream that has read the conversation."""
        self.asked += 1
        return CascadeStream(self, conversation)


class CascadeStream:
    """See `decision.Stream`."""

    def __init__(self, cascade: CascadeClassifier, conversation: Sequence[Message]) -> None:
        self.cascade, self._conversation = cascade, tuple(conversation)
        self._first = cascade.first.start(conversation)
        self._second: Stream | None = None
        self._said = ""
        self.conversation_score = self._first.conversation_score
        if self.conversation_score >= cascade.escalate:
            second = self._escalate()
            self.conversation_score = self._averaged(
                self.conversation_score, second.conversation_score
            )

    @property
    def clauses(self) -> Sequence[str]:
        """The second guard's, once it was asked and has any."""
        asked = self._second.clauses if self._second is not None else ()
        return asked or self._first.clauses

    def feed(self, text: str) -> float:
        """See `decision.Stream`."""
        self._said += text
        score = self._first.feed(text)
        if self._second is not None:
            return self._averaged(score, self._second.feed(text))
        if score < self.cascade.escalate:
            return score
        return self._averaged(score, self._escalate().feed(self._said))

    def _escalate(self) -> Stream:
        self.cascade.escalated += 1
        self._second = self.cascade.second.start(self._conversation)
        return self._second

    def _averaged(self, first: float, second: float) -> float:
        weight = self.cascade.weight
        return probability(weight * logit(first) + (1 - weight) * logit(second))


def logit(score: float) -> float:
    """Log-odds of a score; that of 0 and of 1 is finite."""
    p = min(max(score, 1e-13), 1 - 1e-13)
    return float(np.log(p) - np.log1p(-p))


def cost_curve(
    first_N: np.ndarray,
    second_N: np.ndarray,
    labels_N: np.ndarray,
    *,
    threshold: float,
    weight: float = 0.55,
    points: Sequence[float] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9),
) -> list[CascadePoint]:
    """Recall and false alarms against the share that is escalated.

    Args:
        first_N: scores of the cheap guard.
        second_N: scores of the dear one.
        labels_N: 1 harmful, 0 harmless; both must be there.
        threshold: from which on a text is blocked.
        weight: of the first logit.
        points: escalation thresholds.
    """
    both_N = np.array(
        [
            probability(weight * logit(a) + (1 - weight) * logit(b))
            for a, b in zip(first_N, second_N, strict=True)
        ]
    )
    harmful_N = np.asarray(labels_N).astype(bool)
    assert 0 < harmful_N.sum() < len(harmful_N), "both labels are needed"
    found = []
    for escalate in points:
        up_N = first_N >= escalate
        blocked_N = np.where(up_N, both_N, first_N) >= threshold
        shares = (up_N[~harmful_N], blocked_N[harmful_N], blocked_N[~harmful_N])
        found.append(CascadePoint(escalate, *(float(part.mean()) for part in shares)))
    return found


def make(folder: Path, first: Path, second: Path, escalate: float, weight: float) -> CascadeCard:
    """Write the folder of a cascade, with copies of its two members inside.

    Args:
        folder: to write; must not be there yet.
        first: folder of the cheap guard.
        second: folder of the dear one.
        escalate: see `CascadeCard`.
        weight: see `CascadeCard`.

    Raises:
        InputError: the folder is there already, or a member is no guard.
        StoreError: it cannot be written.
    """
    if folder.exists():
        raise InputError(f"{str(folder)!r} exists", field="--out", expected="a new folder")
    members = {"first": first, "second": second}
    windows = [guard_file.read(member, GuardFile).window or 0 for member in members.values()]
    with boundary(StoreError, f"copying guards to {folder}", catch=(OSError, shutil.Error)):
        for name, member in members.items():
            shutil.copytree(member, folder / name)
    card = CascadeCard("first", "second", escalate, weight, window=max(windows) or None)
    guard_file.write(folder, card)  # last: a folder without it is no guard
    return card


def load(folder: Path, member: Callable[[Path], Classifier]) -> CascadeClassifier:
    """The cascade in a folder; `member` loads a guard's classifier.

    Raises:
        DataError: the card is wrong.
        InputError: a member is not there.
    """
    card = guard_file.read(folder, CascadeCard)
    if not (0 <= card.escalate <= 1 and 0 <= card.weight <= 1):
        file = folder / guard_file.FILE
        raise DataError("escalate or weight is out of range", file=file, expected="0 to 1")
    for name in (card.first, card.second):
        if (folder / name).resolve() == folder.resolve():
            raise DataError("a cascade holds itself", file=folder / guard_file.FILE)
    first, second = member(folder / card.first), member(folder / card.second)
    return CascadeClassifier(first, second, card.escalate, card.weight)
