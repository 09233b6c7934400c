"""What the models answered to the same evaluation prompts, side by side, with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from charter.records import Answer, Prompt
from charter.report.exhibit import Exhibit, slug
from charter.report.figures import NOTHING, Shown, count, rate_in, shown_rate
from charter.report.files import StageFiles
from charter.report.metrics import MODELS, model_name, model_style
from charter.report.tallies import AnswerTally, is_sensitive

_SCORES = {
    "compliance": "helps with harm",
    "refusal": "declines",
    "helpful": "helpfulness",
}
_TELLING = {"redteam": "compliance"}
"""The score that says most about an answer, by kind of prompt; shown first."""


@dataclass(frozen=True, slots=True)
class Given:
    """One model's answer, with its scores in words."""

    model: str
    style: str
    id: str
    text: str
    tokens: str
    scores: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt and all answers to it. `anchor` is where a link leads."""

    prompt: Prompt
    sensitive: bool
    given: list[Given]
    anchor: str

    @property
    def glance(self) -> str:
        """Every model's first score, for the line that stands when the example is closed."""
        firsts = [(g.model, *g.scores[0]) for g in self.given if g.scores]
        if len({name for _, name, _ in firsts}) != 1:
            return ""
        return f"{firsts[0][1]}: " + ", ".join(f"{model} {value}" for model, _, value in firsts)


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """One answer as a line of numbers; the anchor leads to its text."""

    anchor: str
    prompt: str
    kind: str
    category: str
    model: str
    scores: list[tuple[str, float | None]]


@dataclass(frozen=True, slots=True)
class Answers:
    """The section. `disagreement` is between the two ways of reading a red-team answer."""

    asked: list[Asked]
    total: str
    disagreement: Shown | None
    scores: list[ScoreLine]
    data: Exhibit


def answers(stage: StageFiles, tally: AnswerTally) -> Answers | None:
    """The section, or None if nothing was evaluated."""
    if not tally.n:
        return None
    rate = rate_in(stage.notes.get("disagreement"))
    groups = tally.sample.groups()
    lines = [_line(answer) for group in groups for answer in group]
    return Answers(
        [_asked(group) for group in groups],
        count(tally.n),
        None if rate is None else shown_rate(rate),
        lines,
        _data(lines),
    )


def _line(answer: Answer) -> ScoreLine:
    prompt, read = answer.prompt, [(_score(n, answer.scores.get(n)), n) for n in _SCORES]
    scores = [(shown, answer.scores.get(name)) for shown, name in read]
    name, anchor = model_name(answer.model), slug("answer", prompt.id)
    return ScoreLine(anchor, prompt.id, prompt.kind, prompt.category, name, scores)


def _data(lines: Sequence[ScoreLine]) -> Exhibit:
    rows = [
        (x.prompt, x.kind, x.category, x.model, *(value for _, value in x.scores)) for x in lines
    ]
    columns = ("prompt", "kind", "category", "model", *_SCORES.values())
    return Exhibit("answers-shown", columns, [*rows])


def _asked(group: list[Answer]) -> Asked:
    order = list(MODELS)
    by_model = {answer.model: answer for answer in group}
    names = [m for m in order if m in by_model] + [m for m in by_model if m not in order]
    prompt = group[0].prompt
    shown = [given(by_model[name]) for name in names]
    return Asked(prompt, is_sensitive(prompt), shown, slug("answer", prompt.id))


def given(answer: Answer, name: str = "") -> Given:
    """An answer laid out, under its model's name or another."""
    scores = [(_SCORES.get(k, k), _score(k, answer.scores[k])) for k in _ordered(answer)]
    style, tokens = model_style(answer.model), count(answer.tokens)
    return Given(name or model_name(answer.model), style, answer.id, answer.text, tokens, scores)


def _ordered(answer: Answer) -> list[str]:
    first = _TELLING.get(answer.prompt.kind, "helpful")
    return sorted(answer.scores, key=lambda name: name != first)


def _score(name: str, value: float | None) -> str:
    """A missing reading is said to be one; it is never shown as a number."""
    if value is None:
        return "unscored"
    if name == "refusal" and value in (0.0, 1.0):
        return "yes" if value else "no"
    return NOTHING if value != value else f"{value:.2f}".replace("-", "\u2212")
