"""The guard that reads with a language model: conversations, and answers as they grow.

Owns putting the parts together: the views of a conversation, the tokens of an answer, heads that
give numbers a token, a head over words beside them, and the mixture that makes one score of it.
Input classifier and exchange classifier in one: the conversation is read once, the answer goes on
from its cache. Knows neither how heads were fitted nor what a score leads to.

Shape suffixes: T tokens, K axes (harmful, then categories).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from charter.guard.heads import Heads
from charter.guard.readable import cleaned, hidden
from charter.guard.smoothing import Smoothing
from charter.guard.tracking import GrowingText, Track
from charter.guard.views import Conversation, ViewSettings, views
from charter.models.hf import HFModel
from charter.models.scoring import Tree
from charter.readout.words import WordsHead
from charter.records import Message, Record

_LOOK_BACK = 2000
"""Characters of an answer in which a code is looked for."""
_FLAT = 30.0


class Mix(Record, frozen=True):
    """Weights of the logits that make up a score."""

    activations: float = 1.0
    words: float = 0.0
    prompt: float = 0.0
    """Of the conversation's logit, in the score of its answer."""
    bias: float = 0.0

    def logit(self, activations: float, words: float, prompt: float = 0.0) -> float:
        """The weighted sum."""
        return (
            self.activations * activations + self.words * words + self.prompt * prompt + self.bias
        )


class Reading(Record, frozen=True):
    """How tokens and parts become scores."""

    views: ViewSettings = ViewSettings()
    smoothing: Smoothing = Smoothing()
    prompt: Mix = Mix()
    answer: Mix = Mix()
    room: int = 1024
    """Most tokens read in one go; see `tracking.Track`."""
    categories: tuple[str, ...] = ()
    """Of the axes after the first."""
    clauses: dict[str, tuple[str, ...]] = {}
    """By category; those under "" where no category is known."""


@dataclass(frozen=True, slots=True)
class Prompted:
    """What was read of a conversation: its logit, and the clauses that it most likely concerns."""

    logit: float
    clauses: tuple[str, ...]


@dataclass(frozen=True)
class TokenClassifier:
    """See `decision.Classifier`.

    Attributes:
        model: reads.
        heads: say what its hidden states mean.
        identity: name and revision.
        reading: see `Reading`.
        words: heads over words, by stage (`prompt`, `answer`), where there are any.
    """

    model: HFModel
    heads: Heads
    identity: str
    reading: Reading = field(default_factory=Reading)
    words: Mapping[str, WordsHead] = field(default_factory=dict)

    def start(self, conversation: Sequence[Message]) -> TokenStream:
        """A stream that has read the conversation."""
        return TokenStream(self, conversation)

    def conversation_scores(self, conversations: Sequence[Sequence[Message]]) -> list[float]:
        """`start(...).conversation_score` of many, read in batches."""
        every = [views(turns, self.reading.views) for turns in conversations]
        flat = [view for group in every for view in group]
        found = iter(self._read([tuple(self.model.render(view)) for view in flat]))
        return [
            probability(max(self.prompt_logit(view, next(found)[0]) for view in group))
            for group in every
        ]

    def prompt_logit(self, view: Conversation, activations: float) -> float:
        """The mixture for one view."""
        return self.reading.prompt.logit(activations, self.word_logit("prompt", spoken(view)))

    def word_logit(self, stage: str, text: str) -> float:
        """Logit of the head over words; 0 where there is none."""
        head = self.words.get(stage)
        return float(head.apply([text])[0]) if head is not None else 0.0

    def prompted(self, first: Track, every: Sequence[Conversation]) -> Prompted:
        """The view with the highest score. `first` is the first view, read."""
        logits = [self.heads.prompt(first.values)]
        logits += self._read([tuple(self.model.render(view)) for view in every[1:]])
        totals = [self.prompt_logit(v, k[0]) for v, k in zip(every, logits, strict=True)]
        best = int(np.argmax(totals))
        return Prompted(totals[best], self._clauses(logits[best]))

    def _clauses(self, logits_K: np.ndarray) -> tuple[str, ...]:
        by_category, known = self.reading.clauses, self.reading.categories
        category = known[int(np.argmax(logits_K[1:]))] if known else ""
        return tuple(by_category.get(category) or by_category.get("", ()))

    @torch.inference_mode()
    def _read(self, rows: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        """Logits [K] of rendered conversations."""
        short = dict.fromkeys(row for row in rows if len(row) <= self.reading.room)
        trees = [Tree((), (row,)) for row in short]
        numbers = self.model.activations(trees, self._numbers)
        found = {
            row: self.heads.prompt(part.numpy())
            for row, (part,) in zip(short, numbers, strict=True)
        }
        for row in dict.fromkeys(rows):
            if row in found:
                continue
            track = Track(self.model, self.heads.project, room=self.reading.room)
            track.set(row)
            found[row] = self.heads.prompt(track.values)
        return [found[row] for row in rows]

    def _numbers(self, states: tuple[torch.Tensor, ...], row: int, span: slice) -> torch.Tensor:
        part = tuple(layer[row : row + 1, span] for layer in states)
        return self.heads.project(part).float().cpu()


class TokenStream:
    """See `decision.Stream`.

    The score of an answer depends on its text so far, not on the portions it came in; it may fall
    only where the head over words thinks better of it.
    """

    def __init__(self, classifier: TokenClassifier, conversation: Sequence[Message]) -> None:
        self.classifier = classifier
        every = views(conversation, classifier.reading.views)
        self._plain = _Answer(classifier, classifier.model.render(every[0]))
        prompted = classifier.prompted(self._plain.track, every)
        self._coded: _Answer | None = None
        self._said, self._prompt = "", prompted.logit
        self.conversation_score = probability(prompted.logit)
        self.clauses = prompted.clauses

    def feed(self, text: str) -> float:
        """See `decision.Stream`."""
        self._said += text
        peaks = [self._plain.extend(text), *self._decoded()]
        reading = self.classifier.reading
        words = self.classifier.word_logit("answer", self._said)
        return probability(reading.answer.logit(max(peaks), words, self._prompt))

    def _decoded(self) -> list[float]:
        """The peak of what the answer says in code, if it does."""
        said = "\n".join(hidden(self._said[-_LOOK_BACK:]))
        if said:
            self._coded = _Answer(self.classifier, self._plain.context)
            self._coded.extend(said)
        return [self._coded.peak] if self._coded is not None else []


class _Answer:
    """Tokens of one answer after its context."""

    def __init__(self, classifier: TokenClassifier, context: list[int]) -> None:
        self.classifier, self.context = classifier, context
        model = classifier.model
        self.track = Track(model, classifier.heads.project, room=classifier.reading.room)
        self.track.set(context)
        self._text = GrowingText(lambda text: model.encode(cleaned(text)))
        self.peak = classifier.reading.smoothing.prior

    def extend(self, text: str) -> float:
        """The highest smoothed logit of the answer so far."""
        self.track.set([*self.context, *self._text.extend(text)])
        numbers_TP = self.track.values[len(self.context) :]
        if len(numbers_TP):
            logits_T = self.classifier.heads.answer(numbers_TP)
            self.peak = self.classifier.reading.smoothing.peak(logits_T)
        return self.peak


def spoken(view: Conversation) -> str:
    """What the words' head reads of a conversation: all but the system's message."""
    return "\n".join(m.content for m in view if m.role != "system")


def probability(logit: float) -> float:
    """The logistic function, never quite 0 or 1: scores that tie cannot be told apart."""
    return float(1 / (1 + np.exp(-np.clip(logit, -_FLAT, _FLAT))))
