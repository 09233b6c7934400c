"""Tokens by stage: what a recipe makes its models read, write and learn from.

Owns the arithmetic of the stages. Counts are upper bounds from the recipe, scaled by how much of a
length limit answers fill on average. Knows no machine.
"""

from __future__ import annotations

import msgspec

from charter.constitution import document
from charter.estimate.counts import Counts
from charter.estimate.judging import Judging, judging, principles_asked
from charter.models.endpoint import is_remote
from charter.recipe import Recipe
from charter.records import Record, Sampling
from charter.rl import BEST_OF_N, PREFERENCE
from charter.training.settings import TrainSettings

FILL = 0.85
"""Share of `max_tokens` that answers use on average."""
ARM = "_rlhf"
_CHAIN_TOKENS = 160
"""Of a worked chain in front of a few-shot critic, as they ship."""
_CRITIC_TALK = 60
"""Of a critique or revision request with its format."""


class Work(Record, frozen=True):
    """One stage: model calls, and tokens by kind of work."""

    stage: str
    calls: int = 0
    generated: int = 0
    read: int = 0
    trained: int = 0
    remote: int = 0
    """Tokens read and written by models behind endpoints."""


class Planner:
    """Adds up a recipe's stages.

    Args:
        recipe: what would be run.
        counts: how many prompts there are.
    """

    def __init__(self, recipe: Recipe, counts: Counts) -> None:
        self.recipe, self.counts = recipe, counts
        self.principles = principles_asked(recipe, document.load(recipe.constitution))

    def stages(self) -> list[Work]:
        """Every stage in its order, with the second arm's if there is one."""
        arm = [self._feedback(), self._preference(), self._rl()]
        twin = [self._again(stage) for stage in arm] if self.recipe.twin.judge else []
        data = [self._critique(), self._sft_data(), self._sft(), self._pairs()]
        return [*data, *arm, *twin, self._evaluate()]

    @property
    def _comparisons(self) -> int:
        feedback = self.recipe.feedback
        if feedback.pairs:
            return feedback.pairs_limit or self.counts.pairs
        return self.counts.pairs * feedback.pairs_per_prompt

    @property
    def row_tokens(self) -> float:
        """Tokens of a prompt with an answer that was sampled for training."""
        recipe = self.recipe
        limit = max(recipe.critique.revision.max_tokens, recipe.feedback.answer.max_tokens)
        return self.counts.prompt_tokens + FILL * limit

    def _critique(self) -> Work:
        config, count = self.recipe.critique, self.counts.critique
        chains = count * len(config.arms)
        steps = 2 * chains * config.rounds
        written = FILL * chains * config.rounds
        written *= config.critique.max_tokens + config.revision.max_tokens
        shots = config.shots * _CHAIN_TOKENS if config.critic == "few-shot" else 0
        talk = FILL * (config.draft.max_tokens + config.rounds * config.revision.max_tokens)
        asked = steps * (self.counts.prompt_tokens + _CRITIC_TALK + shots + talk / 2)
        drafts = count * FILL * config.draft.max_tokens
        if is_remote(config.critic):
            own = count * self.counts.prompt_tokens
            return _work("critique", count + steps, drafts, own, remote=written + asked)
        return _work("critique", count + steps, drafts + written, asked)

    def _sft_data(self) -> Work:
        return self._answers("sft_data", self.counts.sft, self.recipe.sft.helpful)

    def _pairs(self) -> Work:
        if self.recipe.feedback.pairs:
            return Work("pairs")
        return self._answers("pairs", 2 * self._comparisons, self.recipe.feedback.answer)

    def _answers(self, name: str, calls: int, sampling: Sampling) -> Work:
        generated = FILL * calls * sampling.max_tokens
        return _work(name, calls, generated, calls * self.counts.prompt_tokens)

    def _feedback(self) -> Work:
        one = self._judged(self.recipe.feedback.judge, self.principles)
        return _judged("feedback", one, self._comparisons)

    def _judged(self, name: str, principles: int) -> Judging:
        answer = FILL * self.recipe.feedback.answer.max_tokens
        return judging(self.recipe, name, principles, self.counts.prompt_tokens, answer)

    def _sft(self) -> Work:
        rounds = self.recipe.critique.rounds if self.recipe.sft.rounds == "all" else 1
        examples = self.counts.critique * rounds + self.counts.sft
        return self._training("sft", examples, self.recipe.sft.train)

    def _preference(self) -> Work:
        config = self.recipe.preference
        kept = 2 * self._comparisons * (1 - config.held_out)
        return self._training("preference", kept, config.train)

    def _training(self, name: str, examples: float, train: TrainSettings) -> Work:
        row = min(self.row_tokens, train.max_length)
        return _work(name, 0, 0, 0, trained=examples * train.epochs * row)

    def _rl(self) -> Work:
        """Learning from pairs, or sampling and learning from the samples."""
        config = self.recipe.rl
        if not config.on_policy:
            learnt = self._training("rl", 2 * self._comparisons, config.train)
            reference = 0 if config.dpo.reference_free else learnt.trained / config.train.epochs
            return msgspec.structs.replace(learnt, read=int(reference))
        samples, limit, learnt_from = self._samples()
        row = self.counts.prompt_tokens + FILL * limit
        # The reference reads every sample, and so does the preference model if it pays.
        passes = 2 if config.reward == PREFERENCE else 1
        sampled = _work("rl", samples, samples * FILL * limit, samples * row * passes,
                        trained=learnt_from * row)  # fmt: skip
        watched = config.monitor.held_out
        judged = self._reward(config.reward, samples) if config.reward != PREFERENCE else Work("rl")
        if watched:
            watching = self._reward(watched, samples // config.monitor.every)
            judged = _added(judged, watching)
        return _added(sampled, judged)

    def _samples(self) -> tuple[int, int, float]:
        """Samples, their longest length, and how many samples are learnt from (with repeats)."""
        config = self.recipe.rl
        if config.method == BEST_OF_N:
            best, prompts = config.best_of_n, self.counts.pairs
            imitated = prompts * config.train.epochs * (best.when == "training")
            return prompts * best.n, best.max_new_tokens, imitated
        if config.method in ("ppo", "reinforce"):
            ppo = msgspec.structs.replace(config.ppo, method=config.method).resolved()
            samples = ppo.steps * ppo.prompts_per_step * ppo.group
            return samples, ppo.max_new_tokens, float(samples * ppo.epochs)
        online = config.online
        samples = online.steps * online.prompts_per_step * online.group
        return samples, online.max_new_tokens, float(samples)

    def _reward(self, judge: str, samples: int) -> Work:
        """A judge that reads samples: it rates one answer, or compares it with the start's."""
        kind = self.recipe.all_judges().get(judge)
        alone = (kind.kind if kind else judge) in ("rating", "pointwise", "readout")
        return _judged("rl", self._judged(judge, self.principles), samples / (2 if alone else 1))

    def _again(self, stage: Work) -> Work:
        """A stage of the second arm, with that arm's labels."""
        name = stage.stage + ARM
        if stage.stage == "feedback":
            one = self._judged(self.recipe.twin.judge, self.principles)
            return _judged(name, one, self._comparisons)
        return msgspec.structs.replace(stage, stage=name)

    def _evaluate(self) -> Work:
        models = 4 if self.recipe.twin.judge else 3
        calls, limit = models * self.counts.evaluate, self.recipe.evaluate.answers.max_tokens
        read = calls * (2 * self.counts.prompt_tokens + FILL * limit)
        return _work("evaluate", calls, FILL * calls * limit, read)


def _work(
    stage: str, calls: float, generated: float, read: float, *, trained: float = 0,
    remote: float = 0,
) -> Work:  # fmt: skip
    return Work(stage, int(calls), int(generated), int(read), int(trained), int(remote))


def _judged(stage: str, one: Judging, pairs: float) -> Work:
    return _work(
        stage,
        pairs * one.calls,
        pairs * one.generated,
        pairs * one.read,
        remote=pairs * one.remote,
    )


def _added(first: Work, second: Work) -> Work:
    return Work(
        first.stage,
        first.calls + second.calls,
        first.generated + second.generated,
        first.read + second.read,
        first.trained + second.trained,
        first.remote + second.remote,
    )
