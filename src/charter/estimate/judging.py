"""Tokens that a judge reads and writes for one pair, by its kind.

Owns the arithmetic of shared prefixes: a judge that reads likelihoods here passes over a pair once
an order, whatever the number of principles; one behind an endpoint is sent each question whole.
"""

from __future__ import annotations

from charter.constitution.document import Constitution
from charter.judging.config import JudgeConfig, resolve
from charter.judging.ensemble import Ensemble
from charter.models.endpoint import is_remote
from charter.recipe import Recipe
from charter.records import Record

QUESTION_TOKENS, SHOT_TOKENS = 45, 150
_RATIONALE, _VOTE = 128, 160
_ORDERS, _ANSWERS = 2, 2


class Judging(Record, frozen=True):
    """Tokens for one pair: read and generated here, and of both kinds behind an endpoint."""

    calls: float = 0.0
    read: float = 0.0
    generated: float = 0.0
    remote: float = 0.0

    def __add__(self, other: Judging) -> Judging:
        return Judging(
            self.calls + other.calls,
            self.read + other.read,
            self.generated + other.generated,
            self.remote + other.remote,
        )


def principles_asked(recipe: Recipe, constitution: Constitution) -> int:
    """Principles that one comparison is judged under; the larger half, to be on the safe side."""
    if recipe.feedback.principles == "one":
        return 1
    config = recipe.feedback
    pool = Ensemble(
        constitution,
        "all",
        harmful_tags=config.harmful_tags,
        harmless_tags=config.harmless_tags,
    )
    return max(len(pool.harmful), len(pool.harmless))


def judging(recipe: Recipe, name: str, principles: int, prompt: int, answer: float) -> Judging:
    """Work for one pair.

    Args:
        recipe: where judges are named.
        name: the judge.
        principles: asked about each pair.
        prompt: tokens of a prompt.
        answer: tokens of an answer.
    """
    judges = recipe.all_judges()
    return _of(resolve(name, judges), recipe, principles, prompt, answer)


def _of(judge: JudgeConfig, recipe: Recipe, principles: int, prompt: int, answer: float) -> Judging:
    if judge.kind == "human":
        return Judging()
    if judge.kind == "panel":
        judges = recipe.all_judges()
        members = (resolve(member, judges) for member in judge.members)
        return sum((_of(m, recipe, principles, prompt, answer) for m in members), Judging())
    if judge.kind == "readout":
        return Judging(_ANSWERS, _ANSWERS * (prompt + answer))
    answerwise = judge.kind in ("rating", "pointwise")
    stems = _ANSWERS if answerwise else _ORDERS
    stem = prompt + answer * (1 if answerwise else 2) + judge.shots * SHOT_TOKENS
    written = _written(judge)
    questions = stems * principles * (judge.samples if judge.kind == "votes" else 1)
    asked = QUESTION_TOKENS + written
    if is_remote(judge.model or recipe.feedback.model or recipe.model):
        return Judging(questions, remote=questions * (stem + asked + written))
    return Judging(questions, stems * stem + questions * asked, questions * written)


def _written(judge: JudgeConfig) -> int:
    """Tokens that the judge writes before its answer is read, or as its answer."""
    usual = {"chain-of-thought": _RATIONALE, "votes": _VOTE}.get(judge.kind, 0)
    return judge.sampling.max_tokens if judge.sampling is not None and usual else usual
