"""From settings to judges: which class, which model, which calibration.

Owns loading what a judge needs. What its verdicts depend on is said by `fingerprint`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from charter.constitution import asked
from charter.constitution.document import Constitution
from charter.errors import InputError
from charter.judging.answerwise import AnswerwiseJudge
from charter.judging.calibrated import CalibratedJudge, load_calibration
from charter.judging.chain_of_thought import ChainOfThoughtJudge, ReasoningModel
from charter.judging.config import JudgeConfig, Kind, resolve
from charter.judging.fingerprint import calibration_file
from charter.judging.human import HumanJudge, human_pairs
from charter.judging.multiple_choice import MultipleChoiceJudge
from charter.judging.panel import Member, PanelJudge
from charter.judging.pointwise import YesNoReader
from charter.judging.rating import Rater
from charter.judging.readout_judge import QUESTION_WEIGHTS, ReadoutJudge
from charter.judging.self_preference import Likelihood
from charter.judging.votes import VotesJudge
from charter.models.hf import HFModel
from charter.models.likelihood import mean_logprobs
from charter.models.loading import Models
from charter.readout.features import FeatureReader
from charter.readout.library import JUDGE, shipped
from charter.readout.linear import LinearReadout, load
from charter.records import Checkpoint, Judge


@dataclass(frozen=True, slots=True)
class Made:
    """A judge, ready to be asked.

    Attributes:
        judge: the judge.
        about: for the manifest: name, settings, card, and `identities` of all judges in it.
        likelihood: how likely the judge's own model finds answers; None if it has no local model.
    """

    judge: Judge
    about: dict[str, Any] = field(default_factory=dict)
    likelihood: Likelihood | None = None


def make(
    config: JudgeConfig,
    constitution: Constitution,
    models: Models,
    *,
    default_model: str,
    judges: Mapping[str, JudgeConfig],
) -> Made:
    """Build a judge and load what it needs.

    Args:
        config: what to build.
        constitution: whose principles it will be asked about.
        models: where models come from.
        default_model: judge model where the config names none.
        judges: the recipe's judges, for the members of a panel.

    Raises:
        InputError: the settings, or the files they name, cannot be used.
        ModelError: a model cannot be loaded.
    """
    config.check()
    made = _Maker(constitution, models, default_model, judges).make(config)
    file = calibration_file(config)
    if not file:
        return made
    judge = CalibratedJudge(made.judge, load_calibration(file, made.judge.identity))
    about = {**made.about, "calibrated": judge.calibration}
    return Made(judge, {**about, "calibration": judge.calibration.bins}, made.likelihood)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Builds judges of every kind, without calibration."""

    constitution: Constitution
    models: Models
    default_model: str
    judges: Mapping[str, JudgeConfig]

    def make(self, config: JudgeConfig) -> Made:
        kinds: dict[Kind, Callable[[JudgeConfig], Made]] = {
            "readout": self._readout,
            "multiple-choice": self._multiple_choice,
            "chain-of-thought": self._chain_of_thought,
            "rating": self._rating,
            "pointwise": self._pointwise,
            "votes": self._votes,
            "panel": self._panel,
            "human": self._human,
        }
        return kinds[config.kind](config)

    def _readout(self, config: JudgeConfig) -> Made:
        model = self.models.local(self._checkpoint(config))
        readout = _own_readout(Path(config.path), model) if config.path else shipped(JUDGE, model)
        reader = FeatureReader(model, readout.card.features)
        judge = ReadoutJudge(reader, readout, self._questions(), temperature=config.temperature)
        name = "readout judge, trained on labelled pairs"
        if not config.path:
            name += " (zero-shot is at chance here)"
        return self._made(judge, config, name, model, readout.card.about)

    def _multiple_choice(self, config: JudgeConfig) -> Made:
        model = self.models.choices(self._checkpoint(config))
        judge = MultipleChoiceJudge(
            model,
            self._questions(),
            format=config.format,
            shots=config.shots,
            temperature=config.temperature,
            min_mass=config.min_mass,
        )
        shown = "zero-shot" if config.shots == 0 else f"{config.shots}-shot"
        return self._made(judge, config, f"multiple choice, {shown}", model)

    def _chain_of_thought(self, config: JudgeConfig) -> Made:
        model = self.models.choices(self._checkpoint(config))
        judge = ChainOfThoughtJudge(
            cast(ReasoningModel, model),  # whatever `Models` gives can write
            self._questions(),
            format=config.format,
            shots=config.shots,
            clamp=config.clamp,
            rationale=config.sampling,
            min_mass=config.min_mass,
            seed=config.seed,
        )
        return self._made(judge, config, "chain of thought, then multiple choice", model)

    def _rating(self, config: JudgeConfig) -> Made:
        model = self.models.choices(self._checkpoint(config))
        rater = Rater(model, self._texts(), min_mass=config.min_mass)
        judge = AnswerwiseJudge(rater, temperature=config.temperature)
        return self._made(judge, config, "difference of ratings from 1 to 10", model)

    def _pointwise(self, config: JudgeConfig) -> Made:
        model = self.models.choices(self._checkpoint(config))
        reader = YesNoReader(model, self._texts(), min_mass=config.min_mass)
        judge = AnswerwiseJudge(reader, temperature=config.temperature)
        return self._made(judge, config, "yes or no for each answer by itself", model)

    def _votes(self, config: JudgeConfig) -> Made:
        model = self.models.get(self._checkpoint(config))
        judge = VotesJudge(
            model,
            self._questions(),
            samples=config.samples,
            sampling=config.sampling,
            shots=config.shots,
            seed=config.seed,
        )
        return self._made(judge, config, f"{config.samples} sampled verdicts in each order", model)

    def _panel(self, config: JudgeConfig) -> Made:
        made = {
            name: make(
                resolve(name, self.judges),
                self.constitution,
                self.models,
                default_model=self.default_model,
                judges=self.judges,
            )
            for name in config.members
        }
        members = [Member(name, made[name].judge, w) for name, w in config.members.items()]
        judge = PanelJudge(members, quorum=config.quorum)
        whole = self._made(judge, config, f"panel of {', '.join(made)}")
        own = [id for m in made.values() for id in m.about["identities"]]
        about = {
            **whole.about,
            "members": {name: m.about for name, m in made.items()},
            "identities": [*whole.about["identities"], *own],
        }
        return Made(judge, about)

    def _human(self, config: JudgeConfig) -> Made:
        judge = HumanJudge(human_pairs(config.file), name=Path(config.file).name)
        return self._made(judge, config, f"people's labels in {Path(config.file).name}")

    def _made(
        self,
        judge: Judge,
        config: JudgeConfig,
        name: str,
        model: object = None,
        card: Mapping[str, Any] | None = None,
    ) -> Made:
        about = {"name": name, **(card or {}), "kind": config.kind, "settings": config}
        likelihood = partial(mean_logprobs, model) if isinstance(model, HFModel) else None
        return Made(judge, {**about, "identities": [judge.identity]}, likelihood)

    def _checkpoint(self, config: JudgeConfig) -> Checkpoint:
        return Checkpoint(config.model or self.default_model)

    def _questions(self) -> dict[str, str]:
        return {p.id: asked.comparison_question(p) for p in self.constitution.principles}

    def _texts(self) -> dict[str, str]:
        return {p.id: asked.statement(p) for p in self.constitution.principles}


def _own_readout(folder: Path, model: HFModel) -> LinearReadout:
    readout = load(folder)
    if readout.card.model != model.identity:
        problem = f"was trained on {readout.card.model}, not {model.identity}"
        raise InputError(problem, file=folder, field="path", expected="the model it was trained on")
    if QUESTION_WEIGHTS not in readout.extra:
        expected = "one that reads questions as well (charter judge train)"
        raise InputError("is no judge's readout", file=folder, field="path", expected=expected)
    return readout
