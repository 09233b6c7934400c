"""Training a guard of the kind `readout`: from rows to a folder that serves.

Owns the order of things: read activations, fit the heads of both stages, mix them with words, test
them on rows held out, and write the folder with its card. How heads are fitted is `fit_heads`'.

Shape suffixes: N rows, F features, K axes (harmful, then categories), D hidden size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from msgspec.structs import replace

from charter.guard import guard_file, held_out
from charter.guard.decision import Thresholds
from charter.guard.examples import GuardExample
from charter.guard.features import ActivationReader
from charter.guard.fit_heads import (
    Basis,
    FittedHead,
    HeadSettings,
    Labelled,
    Worded,
    fit_categories,
    fit_direction,
    fit_mix,
    fit_tokens,
    fit_word_head,
    joined,
)
from charter.guard.heads import ReadoutHeads
from charter.guard.readable import readable
from charter.guard.readout_guard import ADAPTER, ReadoutCard, score_head
from charter.guard.smoothing import Smoothing
from charter.guard.token_classifier import Mix, Reading, TokenClassifier, spoken
from charter.guard.training_rows import TrainingRows
from charter.guard.views import views
from charter.models.hf import HFModel
from charter.readout.words import WordsHead
from charter.records import Message, Record, digest

AnswerHead = Literal["mean", "swim", "cumulative-max"]
ANSWER_HEADS: tuple[AnswerHead, ...] = get_args(AnswerHead)
Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""
_COMPONENTS = 256
_SMOOTHING: dict[AnswerHead, Smoothing] = {
    "mean": Smoothing("mean", 8),
    "swim": Smoothing("ema", 16),
    "cumulative-max": Smoothing("none"),
}


class FitSettings(Record, frozen=True):
    """What is fitted."""

    answer_head: AnswerHead = "mean"
    """`mean`: on mean activations; `swim`: the probe's loss; `cumulative-max`: the baseline's."""
    layer_step: int = 2
    """Every n-th layer, counted so that the last one is among them."""
    heads: HeadSettings = HeadSettings()
    window: int = 96
    """Characters of an answer scored at a time."""


class Trained(Record, frozen=True):
    """What came of it: the folder, rows by part, and figures on rows held out."""

    out: str
    rows: dict[str, int]
    figures: dict[str, Any]
    thresholds: Thresholds


@dataclass
class _Parts:
    """A guard in the making."""

    model: HFModel
    reader: ActivationReader
    settings: FitSettings
    report: Report
    score_D: np.ndarray | None = None
    """Score head of the adapter's training, on the last layer."""
    words: dict[str, WordsHead] = field(default_factory=dict)
    left_out: dict[str, float] = field(default_factory=dict)
    """Mixed logit of each training conversation, by heads that had not seen it."""

    def prompts(self, rows: Sequence[GuardExample], doing: str) -> np.ndarray:
        return self.reader.prompts(
            [row.conversation for row in rows], lambda n, of: self.report(doing, n, of)
        )

    def direction(self, rows: Labelled) -> FittedHead:
        """A head on activations, together with the adapter's own score if there is one."""
        head = fit_direction(rows, self.settings.heads.strengths)
        if self.score_D is None:
            return head
        # The last layer stands last: of a prompt at its last token, of an answer on average.
        before = np.zeros(len(head.weights_F) - len(self.score_D), np.float32)
        return joined(head, rows, np.concatenate([before, self.score_D]))

    def words_head(
        self, stage: str, rows: Sequence[GuardExample], learned: Sequence[GuardExample]
    ) -> np.ndarray:
        """Fit the words' head of a stage on all rows; its logits of `rows`, left out [N]."""
        every = [*rows, *learned]
        texts = [readable(row.answer) if row.answer else _spoken(row) for row in every]
        worded = Worded(texts, _labels(every), _bases(every))
        self.words[stage], left_out = fit_word_head(worded, self.settings.heads.words)
        return left_out[: len(rows)]


def train(
    rows: TrainingRows,
    model: HFModel,
    name: str,
    out: Path,
    *,
    cache: Path,
    settings: FitSettings | None = None,
    learned: Sequence[GuardExample] = (),
    about: dict[str, Any] | None = None,
    report: Report = lambda *_: None,
) -> Trained:
    """Fit a guard and write its folder.

    Args:
        rows: to learn from, and held out.
        model: whose activations are read; it does not change.
        name: what the guard's card calls it, for loading.
        out: folder to write.
        cache: folder where activations are kept.
        settings: see `FitSettings`.
        learned: rows from which the adapter in `out`, with which the model was loaded, has learned;
            its score head joins the fitted ones, and only heads over words learn from them again.
        about: data, licence, limits, for the card.
        report: told of the progress.

    Raises:
        InputError: there is nothing to learn from.
    """
    rows, chosen = rows.check(), settings or FitSettings()
    layers = tuple(range(model.layers, 0, -chosen.layer_step))[::-1]
    score_D = score_head(out / ADAPTER) if learned else None
    parts = _Parts(model, ActivationReader(model, layers, cache), chosen, report, score_D)
    prompt = _fit_prompt(parts, rows.prompts, [row for row in learned if not row.answer])
    answer = _NO_ANSWER
    if rows.can_learn_answers:
        answer = _fit_answer(parts, prompt, rows.answers, [row for row in learned if row.answer])
    heads = ReadoutHeads(
        *prompt.arrays(parts.reader.width), answer.weights(parts.reader.width), answer.bias, layers
    )
    reading = Reading(
        smoothing=answer.smoothing,
        prompt=prompt.mix,
        answer=answer.mix,
        categories=prompt.categories,
        clauses=_clauses(rows.prompts, prompt.categories),
    )
    heads.save(out)
    for stage, head in parts.words.items():
        head.save(out / f"words-{stage}")
    identity = f"unsaved@{digest([heads.identity, reading])}"
    classifier = TokenClassifier(model, heads, identity, reading, parts.words)
    report("testing", 0, 1)
    thresholds, figures = held_out.thresholds_and_figures(classifier, rows, chosen.window)
    card = ReadoutCard(
        name, model.identity, layers, reading, thresholds=thresholds, window=chosen.window,
        adapter=bool(learned), about={**(about or {}), "held_out": figures},
    )  # fmt: skip
    guard_file.write(out, card)  # last: a folder without it is no guard
    counts = {key: len(getattr(rows, key)) for key in ("prompts", "answers")}
    return Trained(str(out), counts, figures, thresholds)


@dataclass(frozen=True, slots=True)
class _Prompt:
    """Heads on conversations: weights [K, 2F], biases [K]."""

    weights: np.ndarray
    bias: np.ndarray
    mix: Mix
    categories: tuple[str, ...]

    def arrays(self, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.weights[:, :width], self.weights[:, width:], self.bias


@dataclass(frozen=True, slots=True)
class _Answer:
    """A head on the tokens of answers."""

    weights_F: np.ndarray | None
    bias: float
    mix: Mix
    smoothing: Smoothing

    def weights(self, width: int) -> np.ndarray:
        return np.zeros(width, np.float32) if self.weights_F is None else self.weights_F


_NO_ANSWER = _Answer(None, 0.0, Mix(0.0, 0.0, 0.0, -30.0), Smoothing())
"""Of a guard that never learned what a harmful answer is: nothing is ever blocked there."""


def _fit_prompt(
    parts: _Parts, rows: Sequence[GuardExample], learned: Sequence[GuardExample]
) -> _Prompt:
    features = parts.prompts(rows, "reading prompts")
    labelled = Labelled(features, _labels(rows), _bases(rows))
    parts.report("fitting prompts", 0, 1)
    head = parts.direction(labelled)
    words_N = parts.words_head("prompt", rows, learned)
    mix = fit_mix(head.left_out_N, words_N, labelled.labels_N)
    for row, a, w in zip(rows, head.left_out_N, words_N, strict=True):
        parts.left_out[digest(row.conversation)] = mix.logit(float(a), float(w))
    known = Counter(r.category for r in rows if r.label == "harmful" and r.category)
    categories = tuple(sorted(name for name, n in known.items() if n >= 5))
    weights, bias = head.weights_F[None], np.array([head.bias])
    if len(categories) >= 2:
        places = [
            i for i, r in enumerate(rows) if r.label == "harmful" and r.category in categories
        ]
        named = [rows[i].category for i in places]
        more, more_bias = fit_categories(features[places], named, categories)
        weights, bias = np.concatenate([weights, more]), np.concatenate([bias, more_bias])
    parts.report("fitting prompts", 1, 1)
    return _Prompt(weights, bias, mix, categories if len(categories) >= 2 else ())


def _fit_answer(
    parts: _Parts, prompt: _Prompt, rows: Sequence[GuardExample], learned: Sequence[GuardExample]
) -> _Answer:
    kind, exchanges = parts.settings.answer_head, [(r.conversation, r.answer) for r in rows]
    features = parts.reader.answers(exchanges, lambda n, of: parts.report("reading answers", n, of))
    labels_N = _labels(rows)
    labelled = Labelled(features, labels_N, _bases(rows))
    parts.report("fitting answers", 0, 1)
    words_N = parts.words_head("answer", rows, learned)
    if kind == "mean":
        head = parts.direction(labelled)
        weights_F, bias, logits_N = head.weights_F, head.bias, head.left_out_N
        prior = float(logits_N[labels_N == 0].mean())
    else:
        weights_F, bias, logits_N, prior = _token_head(parts, labelled, exchanges)
    mix = fit_mix(logits_N, words_N, labels_N, _prompt_logits(parts, prompt, rows))
    parts.report("fitting answers", 1, 1)
    return _Answer(weights_F, bias, mix, replace(_SMOOTHING[kind], prior=prior))


def _token_head(
    parts: _Parts, rows: Labelled, exchanges: Sequence[tuple[tuple[Message, ...], str]]
) -> tuple[np.ndarray, float, np.ndarray, float]:
    """Weights [F], bias, peaks of rows left out [N], prior."""
    kind = parts.settings.answer_head
    assert kind != "mean"
    basis = Basis.of(rows.features_NF, _COMPONENTS)
    centre, scale, directions = (
        torch.tensor(a, dtype=torch.float32, device=parts.model.device)
        for a in (basis.centre_F, basis.scale_F, basis.directions_FP)
    )
    tokens = parts.reader.answer_tokens(
        exchanges,
        lambda features: (features.float() - centre) / scale @ directions,
        lambda n, of: parts.report("reading tokens", n, of),
    )
    penalty = parts.settings.heads.penalty
    head, peaks_N, prior = fit_tokens(
        tokens, rows.labels_N, rows.groups, kind, _SMOOTHING[kind], penalty
    )
    return (*basis.fold(head.weights_F, head.bias), peaks_N, prior)


def _prompt_logits(parts: _Parts, prompt: _Prompt, rows: Sequence[GuardExample]) -> np.ndarray:
    """Logit of each answer's conversation [N], by heads that had not seen it where that can be."""
    known = parts.left_out
    new = [row for row in rows if digest(row.conversation) not in known]
    found = dict(known)
    if new:
        activations_N = parts.prompts(new, "reading prompts of answers") @ prompt.weights[0]
        words_N = parts.words["prompt"].apply([_spoken(row) for row in new])
        for row, a, w in zip(new, activations_N + prompt.bias[0], words_N, strict=True):
            found[digest(row.conversation)] = prompt.mix.logit(float(a), float(w))
    return np.array([found[digest(row.conversation)] for row in rows])


def _clauses(rows: Sequence[GuardExample], categories: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The clauses cited most often by the harmful rows of each category; "" for all of them."""
    cited: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in ("", *categories)}
    for row in rows:
        if row.label == "harmful":
            cited[row.category if row.category in cited else ""][row.clauses] += 1
            cited[""][row.clauses] += 0 if row.category else 1
    return {name: counts.most_common(1)[0][0] for name, counts in cited.items() if counts}


def _spoken(row: GuardExample) -> str:
    return spoken(views(row.conversation)[0])


def _labels(rows: Sequence[GuardExample]) -> np.ndarray:
    return np.array([int(row.label == "harmful") for row in rows])


def _bases(rows: Sequence[GuardExample]) -> list[str]:
    return [row.base for row in rows]
