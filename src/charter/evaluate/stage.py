"""Stage: the models answer the evaluation prompts, and every answer is read by every scorer.

Owns the order of the work (one model in memory at a time), equal seeds for all models, and the
rule that what evaluates has neither labelled nor rewarded. What the numbers amount to is
`measure`'s business.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from charter.engine.local import Progress, process, silent
from charter.errors import InputError
from charter.evaluate import error_rates
from charter.evaluate.config import SCORERS, EvaluateConfig
from charter.evaluate.disagreement import disagreement
from charter.records import Answer, Completion, Dropped, Model, Origin, Prompt, Request, Scorer
from charter.seeds import derive
from charter.store import Manifest, StageFolder

STAGE = "evaluate"


@dataclass(frozen=True, slots=True)
class EvaluateDeps:
    """What the stage works with.

    Attributes:
        models: loads each model, by name; in order (base, sl_cai, rl_cai), one after another, and
            the one before is let go first.
        scorers: by the keys of `config.SCORERS`.
        folder: where records go.
        seed: of the whole run.
        progress: told after every chunk.
        used_as_label_or_reward: identities of the judges and scorers that made labels or rewards.
    """

    models: Mapping[str, Callable[[], Model]]
    scorers: Mapping[str, Scorer]
    folder: StageFolder
    seed: int = 0
    progress: Progress = silent
    used_as_label_or_reward: frozenset[str] = frozenset()


def run(prompts: Sequence[Prompt], config: EvaluateConfig, *, deps: EvaluateDeps) -> Manifest:
    """Write one `Answer` a model and prompt, with its scores.

    Args:
        prompts: held-out prompts, of all kinds.
        config: how answers are sampled.
        deps: models, scorers, folder.

    Raises:
        InputError: a scorer has labelled or rewarded, the reference model is missing, or two
            prompts share an id.
    """
    _check(prompts, config, deps)
    desk = _Desk(config, deps)
    items = [_Item(name, prompt) for name in deps.models for prompt in prompts]
    return process(
        deps.folder,
        items,
        desk.answers,
        record_type=Answer,
        identify=lambda item: item.id,
        total=len(items),
        progress=deps.progress,
        notes=lambda: _notes(config, deps),
    )


@dataclass(frozen=True, slots=True)
class _Item:
    model: str
    prompt: Prompt

    @property
    def id(self) -> str:
        return f"{self.model}/{self.prompt.id}"


class _Desk:
    """Answers and scores chunks; holds at most one model."""

    def __init__(self, config: EvaluateConfig, deps: EvaluateDeps) -> None:
        self.config, self.deps = config, deps
        self._name = ""
        self._model: Model | None = None

    def answers(self, items: Sequence[_Item]) -> list[Answer | Dropped]:
        """One answer an item, in order.

        The engine cuts chunks by count alone, so one may straddle two models; it is split here,
        and no call to a model or a scorer ever mixes them.
        """
        parts = groupby(items, key=lambda item: item.model)
        return [answer for name, part in parts for answer in self._of_one(name, list(part))]

    def _of_one(self, name: str, items: Sequence[_Item]) -> list[Answer | Dropped]:
        model = self._load(name)
        made = model.generate([self._request(item.prompt) for item in items])
        exchanges = [(i.prompt, m.text) for i, m in zip(items, made, strict=True)]
        readings = {key: self.deps.scorers[key].score(exchanges) for key in SCORERS}
        return [
            Dropped(item.id, STAGE, one.failure)
            if one.failure
            else self._answer(item, one, {key: readings[key][row].value for key in SCORERS})
            for row, (item, one) in enumerate(zip(items, made, strict=True))
        ]

    def _load(self, name: str) -> Model:
        if self._model is None or name != self._name:
            # Let go first: two models may not fit in memory, and networks hold cycles.
            self._model = None
            gc.collect()
            self._name, self._model = name, self.deps.models[name]()
        return self._model

    def _request(self, prompt: Prompt) -> Request:
        # The model's name is no part of the seed: all models draw the same random numbers.
        return Request(
            prompt.messages, self.config.answers, derive(self.deps.seed, STAGE, prompt.id)
        )

    def _answer(self, item: _Item, made: Completion, scores: dict[str, float | None]) -> Answer:
        assert self._model is not None
        origin = Origin(
            STAGE,
            self._model.identity,
            sampling=self.config.answers,
            seed=derive(self.deps.seed, STAGE, item.prompt.id),
        )
        return Answer(item.id, item.model, item.prompt, made.text, made.tokens, scores, origin)


def _notes(config: EvaluateConfig, deps: EvaluateDeps) -> dict[str, Any]:
    unscored: Counter[str] = Counter()
    for answer in deps.folder.log(Answer):
        unscored.update(key for key in SCORERS if answer.scores.get(key) is None)
    return {
        "scorers": {key: deps.scorers[key].identity for key in SCORERS},
        error_rates.NOTE: error_rates.of_scorers(deps.scorers.values()),
        "labelled_or_rewarded": sorted(deps.used_as_label_or_reward),
        "disagreement": disagreement(deps.folder.log(Answer), config),
        "unscored": {key: unscored[key] for key in SCORERS},
    }


def _check(prompts: Sequence[Prompt], config: EvaluateConfig, deps: EvaluateDeps) -> None:
    assert set(SCORERS) <= set(deps.scorers), sorted(deps.scorers)
    config.check()
    if config.reference not in deps.models:
        raise InputError(
            f"reference model {config.reference!r} is not evaluated",
            field="evaluate.reference",
            expected=f"one of {', '.join(deps.models)}",
        )
    repeated = [i for i, count in Counter(p.id for p in prompts).items() if count > 1]
    if repeated:
        raise InputError(f"prompt id {repeated[0]!r} occurs twice", expected="distinct ids")
    for key in SCORERS:
        check_held_out(key, deps.scorers[key].identity, deps.used_as_label_or_reward)


def check_held_out(key: str, identity: str, used: frozenset[str]) -> None:
    """Refuse a scorer that labelled or rewarded, also if it did so under another name.

    Identities are `name@digest`: the same digest is the same weights, so a readout that judged is
    not independent as a scorer, even of another of its axes.
    """
    for other in sorted(used):
        if identity == other or _digest(identity) == _digest(other) != "":
            raise InputError(
                f"{identity!r} has labelled or rewarded, as {other!r}",
                field=f"evaluate.scorers.{key}",
                expected="a scorer that was held out from labelling and reward",
            )


def _digest(identity: str) -> str:
    return identity.rpartition("@")[2] if "@" in identity else ""


__all__ = ["STAGE", "EvaluateConfig", "EvaluateDeps", "run"]
