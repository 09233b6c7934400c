"""Judges as scorers of single answers: the reward of direct RLAIF, and the held-out score.

Owns the two ways in which a judge gives one answer a number. A judge that rates does so on its
scale (Lee et al. 2023, §3.2.2: direct RLAIF); any other compares the answer with one of the start
policy's and gives the probability that it is better, which is the judged win rate by which Lee et
al. choose checkpoints. An abstention is a score of None with its reason, never a number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from charter.constitution.document import Constitution
from charter.constitution.priorities import Before
from charter.judging.answerwise import AnswerwiseJudge
from charter.judging.config import JudgeConfig
from charter.judging.ensemble import Ensemble
from charter.judging.labeling import label
from charter.judging.making import make
from charter.judging.precedence import NONE
from charter.judging.rating import Rater, RatingScorer
from charter.models.loading import Models
from charter.records import (
    Abstention,
    Comparison,
    Judge,
    Message,
    Model,
    Origin,
    Prompt,
    Request,
    Sampling,
    Scored,
    Scorer,
    digest,
)
from charter.seeds import derive

_SEED = "reference answer"
HARMFUL = "redteam"
"""Kind of prompt whose answers are judged under the principles about harm."""
Draw = Callable[[Comparison], Sequence[tuple[str, float]]]


@dataclass(frozen=True, slots=True)
class Principles:
    """Which principles count for which kind of prompt, as in the labelling stage."""

    constitution: Constitution
    harmful_tags: Collection[str]
    harmless_tags: Collection[str]
    seed: int = 0

    def ensemble(self) -> Ensemble:
        """All principles of the prompt's half, by weight."""
        return Ensemble(
            self.constitution,
            "weighted",
            harmful_tags=self.harmful_tags,
            harmless_tags=self.harmless_tags,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True)
class Start:
    """The policy whose answers others are compared with, and how it is sampled."""

    policy: Model
    sampling: Sampling
    seed: int = 0


class ByKind:
    """One scorer for red-team prompts and one for all others. Satisfies `records.Scorer`."""

    def __init__(self, harmful: Scorer, harmless: Scorer) -> None:
        self.harmful, self.harmless = harmful, harmless

    @property
    def identity(self) -> str:
        """Both identities."""
        one, other = self.harmful.identity, self.harmless.identity
        return one if one == other else f"{one}&{digest(other, length=8)}"

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        """One reading an exchange, in order."""
        found: dict[int, Scored] = {}
        for scorer, harmful in ((self.harmful, True), (self.harmless, False)):
            places = [i for i, (p, _) in enumerate(exchanges) if (p.kind == HARMFUL) is harmful]
            if places:
                read = scorer.score([exchanges[i] for i in places])
                found |= dict(zip(places, read, strict=True))
        return [found[i] for i in range(len(exchanges))]


class WinRate:
    """P(the answer is better than the start policy's). Satisfies `records.Scorer`.

    Args:
        judge: asked in both orders, the mean of which counts.
        draw: principles of a comparison, with their weights.
        start: gives each prompt one answer to be compared with, the same one every time.
        before: priorities between the principles, as in the labelling stage.
    """

    def __init__(self, judge: Judge, draw: Draw, start: Start, before: Before = NONE) -> None:
        self.judge, self.draw, self.start, self.before = judge, draw, start, before
        self._references: dict[tuple[Message, ...], str] = {}

    @property
    def identity(self) -> str:
        """The judge's, and a digest of what it compares with."""
        about = [self.start.policy.identity, self.start.sampling, self.start.seed]
        return f"win-rate:{self.judge.identity}+{digest(about, length=8)}"

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        """One probability an exchange; None for an empty answer or reference, and where the judge
        abstains. The same text as the reference's is a tie, and no judge is asked."""
        self._answer([prompt for prompt, _ in exchanges])
        found = [self._known(prompt, answer) for prompt, answer in exchanges]
        asked = [i for i, scored in enumerate(found) if scored is None]
        comparisons = [self._comparison(*exchanges[i]) for i in asked]
        drawn = [self.draw(c) for c in comparisons]
        verdicts = label(self.judge, comparisons, drawn, before=self.before)
        for i, verdict in zip(asked, verdicts, strict=True):
            if isinstance(verdict, Abstention):
                found[i] = Scored(None, verdict.reason)
            else:
                found[i] = Scored(verdict.p_a)
        return [scored for scored in found if scored is not None]

    def _known(self, prompt: Prompt, answer: str) -> Scored | None:
        reference = self._references[prompt.messages]
        if not answer.strip():
            return Scored(None, "empty_answer")
        if not reference.strip():
            return Scored(None, "empty_reference")
        return Scored(0.5) if answer.strip() == reference.strip() else None

    def _comparison(self, prompt: Prompt, answer: str) -> Comparison:
        reference = self._references[prompt.messages]
        id = digest([prompt.messages, answer, reference])
        return Comparison(id, prompt, answer, reference, Origin("rl", "policy"))

    def _answer(self, prompts: Sequence[Prompt]) -> None:
        """Sample the answers that are compared with, once a prompt."""
        new = {p.messages: p for p in prompts if p.messages not in self._references}
        seeds = [derive(self.start.seed, _SEED, digest(talk)) for talk in new]
        requests = [
            Request(talk, self.start.sampling, seed) for talk, seed in zip(new, seeds, strict=True)
        ]
        made = self.start.policy.generate(requests) if requests else []
        self._references |= {talk: one.text for talk, one in zip(new, made, strict=True)}


@dataclass(frozen=True, slots=True)
class JudgedReward:
    """A judge as a scorer, with the identities of all judges in it."""

    scorer: Scorer
    identities: tuple[str, ...]


def judged(
    config: JudgeConfig,
    models: Models,
    *,
    principles: Principles,
    start: Start,
    default_model: str,
    judges: Mapping[str, JudgeConfig],
) -> JudgedReward:
    """Build the scorer that a judge makes.

    Args:
        config: the judge. One of kind `rating` rates, any other compares.
        models: where its models come from.
        principles: what it judges under.
        start: what answers are compared with.
        default_model: judge model where the config names none.
        judges: the recipe's judges, for the members of a panel.

    Raises:
        InputError: the settings cannot be used.
        ModelError: a model cannot be loaded.
    """
    document = principles.constitution
    made = make(config, document, models, default_model=default_model, judges=judges)
    identities = tuple(str(identity) for identity in made.about.get("identities", ()))
    pool, judge = principles.ensemble(), made.judge
    if isinstance(judge, AnswerwiseJudge) and isinstance(judge.reader, Rater):
        halves = ([(p.id, p.weight) for p in half] for half in (pool.harmful, pool.harmless))
        harmful, harmless = (RatingScorer(judge.reader, half) for half in halves)
        return JudgedReward(ByKind(harmful, harmless), (*identities, judge.reader.identity))
    return JudgedReward(WinRate(judge, pool.draw, start, pool.before), identities)
