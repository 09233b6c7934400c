"""The whole loop, top to bottom. Read this file first.

    prompts ── critique ── sft_data ── sft ── pairs ── feedback ── preference ── rl ── evaluate
                                                 └── the same with people's labels ──┘ (twin)

Stages know nothing of each other; here they are joined. Each stage's key is a digest of its
settings and of what it reads, so a changed setting redoes that stage and those after it, and
nothing else. A stage that has finished is not run again, and its models are not even loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from charter import critique, feedback, preference, rl, sft
from charter.adoption import adopt, require
from charter.cache import CachedModel, CallCache
from charter.constitution import document
from charter.engine.choosing import chosen
from charter.engine.local import Progress, silent
from charter.errors import InputError
from charter.evaluate import stage as evaluate
from charter.evaluate import twin
from charter.evaluate.refusal import LexicalRefusalScorer, refusal
from charter.evaluate.scorers import ComplianceScorer, HelpfulnessScorer
from charter.judging.config import resolve
from charter.judging.earlier import EarlierLabels, take
from charter.judging.fingerprint import file_digest, fingerprint
from charter.judging.human import human_pairs
from charter.judging.making import make
from charter.judging.reward import JudgedReward, Principles, Start, judged
from charter.models import hf
from charter.models.library import CRITIC, folder_of
from charter.models.loading import Models
from charter.models.spend import Ledger
from charter.prompts.chains import worked_chains
from charter.prompts.templates import templates_digest
from charter.readout.features import FeatureReader
from charter.readout.library import COMPLIANCE, HELPFUL, readout_identity, shipped
from charter.recipe import Recipe
from charter.records import (
    Answer,
    Checkpoint,
    Comparison,
    Demonstration,
    Labelled,
    Message,
    Model,
    RevisionChain,
    Scorer,
)
from charter.report.page import write_report
from charter.selection import Prompts
from charter.store import Manifest, RunFolder, StageFolder, write_atomic
from charter.summary import Summary, summarise
from charter.training.best_of_n import BestOfN
from charter.training.settings import Tuning

Tuned = TypeVar("Tuned", bound=Tuning)
STAGES = (
    critique.STAGE,
    sft.DATA_STAGE,
    sft.STAGE,
    feedback.PAIRS_STAGE,
    feedback.STAGE,
    preference.STAGE,
    rl.STAGE,
    evaluate.STAGE,
)
_BEFORE_LABELS = STAGES[: STAGES.index(feedback.STAGE)]
AI, PEOPLE = "", "_rlhf"
"""The two arms, by what is added to the names of their stages."""
_ARM = (feedback.STAGE, preference.STAGE, rl.STAGE)
_TRAINING = frozenset({sft.STAGE, preference.STAGE, rl.STAGE})


def stages_of(recipe: Recipe, through: str = evaluate.STAGE) -> tuple[str, ...]:
    """The stages of a run in their order; a recipe with a twin has its second arm's as well."""
    if not recipe.twin.judge:
        return STAGES[: STAGES.index(through) + 1]
    names: list[str] = []
    for name in STAGES:
        names += [stage + PEOPLE for stage in _ARM] if name == evaluate.STAGE else []
        names.append(name)
    if through == evaluate.STAGE:
        return (*names, twin.STAGE)
    return tuple(names[: names.index(through) + 1])


def run(
    recipe: Recipe,
    *,
    through: str = evaluate.STAGE,
    progress: Progress = silent,
    relabel_from: str | None = None,
) -> Summary:
    """Run a recipe, or what is left of it, and write its summary and report.

    Args:
        recipe: what to do.
        through: the last stage to run.
        progress: told how far each stage is.
        relabel_from: a run whose comparisons, and whatever made them, are taken over; of its votes,
            those under principles that have not changed since.

    Raises:
        InputError: the recipe, the constitution or the prompts are wrong; nothing was started.
        WorkError: a stage failed; what was made until then is kept.
    """
    constitution = document.load(recipe.constitution)
    prompts = Prompts(recipe)
    if recipe.feedback.pairs:
        file_digest(recipe.feedback.pairs)  # a file that is not there is found now, not in an hour
    if recipe.preference.human:
        file_digest(recipe.preference.human)
    folder = RunFolder(recipe.run, recipe.storage)
    with folder.locked(), chosen(recipe.engine):
        work = Run(recipe, constitution, prompts, folder, progress)
        with closing(work.models):
            if relabel_from is not None:
                work.go_on_from(Path(relabel_from), through)
            work.describe()
            for name in stages_of(recipe, through):
                work.do(name)
        left_out = {"too_long": len(prompts.too_long)} if prompts.too_long else {}
        summary = summarise(folder, recipe, constitution, left_out)
        write_atomic(
            folder.path / "summary.json", msgspec.json.format(msgspec.json.encode(summary))
        )
        write_report(folder.path)
    return summary


class Run:
    """One run in progress: its folders, its models (loaded when needed), its stages."""

    def __init__(
        self,
        recipe: Recipe,
        constitution: document.Constitution,
        prompts: Prompts,
        folder: RunFolder,
        progress: Progress,
    ) -> None:
        self.recipe, self.constitution, self.prompts = recipe, constitution, prompts
        self.folder, self.progress = folder, progress
        self.cache = CallCache(folder.path / "calls.sqlite")
        self.models = Models(endpoint=recipe.endpoint, cache=self.cache)
        self.base = Checkpoint(recipe.model)
        self.done: dict[str, Manifest] = {}
        self.earlier: EarlierLabels | None = None

    def go_on_from(self, source: Path, through: str) -> None:
        """Take everything before the labels from another run, and its labels to relabel from."""
        self.earlier = take(source, feedback.STAGE, self.folder.path)
        self.done = adopt(source, self.folder, _BEFORE_LABELS, (feedback.PAIRS_STAGE,))
        if through in (rl.STAGE, evaluate.STAGE):
            require((sft.STAGE,), self.done, source)

    def describe(self) -> None:
        """Write what the run was asked to do, for people and for the report."""
        for name, value in (("recipe", self.recipe), ("constitution", self.constitution)):
            text = msgspec.json.format(msgspec.json.encode(value))
            write_atomic(self.folder.path / f"{name}.json", text)

    def do(self, stage: str) -> Manifest | None:
        """Run one stage, unless it has finished; the stages before it must have.

        A stage that the labels of another run rest on is taken as it is: None if it is not there.
        """
        if self.earlier is not None and stage in _BEFORE_LABELS:
            return self.done.get(stage)
        steps: dict[str, Callable[[], Manifest]] = {
            critique.STAGE: self._critique,
            sft.DATA_STAGE: self._sft_data,
            sft.STAGE: self._sft,
            feedback.PAIRS_STAGE: self._pairs,
            feedback.STAGE: self._feedback,
            preference.STAGE: self._preference,
            rl.STAGE: self._rl,
            feedback.STAGE + PEOPLE: lambda: self._feedback(PEOPLE),
            preference.STAGE + PEOPLE: lambda: self._preference(PEOPLE),
            rl.STAGE + PEOPLE: lambda: self._rl(PEOPLE),
            evaluate.STAGE: self._evaluate,
            twin.STAGE: self._twin,
        }
        if stage.removesuffix(PEOPLE) in _TRAINING:
            self.models.release()  # the trainer loads the model again, and both may not fit
        self.done[stage] = steps[stage]()
        if self.recipe.engine.kind != "local":
            # Workers have spent, and only the cache knows what: count it against the caps.
            self.models.close()
            self.models.ledger = Ledger(self.recipe.endpoint, self.cache.spent())
        return self.done[stage]

    def _critique(self) -> Manifest:
        config, prompts = self.recipe.critique, self.prompts.critique
        critic = self._critic()
        made_by = [*map(hf.revision, critic.adapters), templates_digest(*critique.TEMPLATES)]
        stage = self._open(critique.STAGE, config, prompts, self.constitution.digest, made_by)
        shots: tuple[Message, ...] = ()
        if config.critic == "few-shot":
            shots = critique.few_shots(
                worked_chains(), self.constitution, config.shots, self.recipe.seed
            )
        deps = critique.CritiqueDeps(
            policy=self._model(self.base),
            critic=self._model(critic),
            folder=stage,
            shots=shots,
            seed=self.recipe.seed,
            progress=self.progress,
        )
        return critique.run(prompts, self.constitution, config, deps=deps, total=len(prompts))

    def _sft_data(self) -> Manifest:
        chains = self._records(critique.STAGE, RevisionChain)
        stage = self._open(sft.DATA_STAGE, self.recipe.sft, self.prompts.sft, critique.STAGE)
        deps = sft.SftDataDeps(self._model(self.base), stage, self.recipe.seed, self.progress)
        return sft.demonstrations(chains, self.prompts.sft, self.recipe.sft, deps=deps)

    def _sft(self) -> Manifest:
        config = self.recipe.sft.train
        stage = self._open(sft.STAGE, config, sft.DATA_STAGE)
        records = self._records(sft.DATA_STAGE, Demonstration)
        deps = sft.SftDeps(self.base, stage, self.progress)
        return sft.run(records, replace(self.recipe.sft, train=self._seeded(config)), deps=deps)

    def _pairs(self) -> Manifest:
        config, prompts = self.recipe.feedback, self.prompts.pairs
        given = file_digest(config.pairs) if config.pairs else ""
        asked = (config.about_pairs(), prompts, given, sft.STAGE)
        stage = self._open(feedback.PAIRS_STAGE, *asked)
        deps = feedback.PairsDeps(
            self._model(self._trained(sft.STAGE)), stage, self.recipe.seed, self.progress
        )
        if not config.pairs:
            return feedback.sample(prompts, config, deps=deps)
        pairs = human_pairs(config.pairs, limit=config.pairs_limit or None)
        # Files repeat themselves; a comparison's id is made from its texts.
        distinct = {pair.comparison.id: pair.comparison for pair in pairs}
        return feedback.gather(distinct.values(), self.prompts.evaluate, deps=deps)

    def _feedback(self, arm: str = AI) -> Manifest:
        config, document = self.recipe.feedback, self.constitution.digest
        if arm == PEOPLE:
            config = replace(config, judge=self.recipe.twin.judge)
        judges = self.recipe.all_judges()
        judge = resolve(config.judge, judges)
        made_of = fingerprint(judge, judges)
        asked = (config, document, feedback.PAIRS_STAGE, made_of)
        finished = self._finished(feedback.STAGE + arm, *asked)
        if finished is not None:
            return finished
        made = make(
            judge,
            self.constitution,
            self.models,
            default_model=config.model or self.recipe.model,
            judges=judges,
        )
        earlier = self.earlier if arm == AI else None
        if earlier is not None:
            # Before the old labels are moved aside: if they do not fit, nothing has been touched.
            earlier.vouch(self._records(feedback.PAIRS_STAGE, Comparison), made.judge.identity)
        stage = self._open(feedback.STAGE + arm, *asked)
        deps = feedback.FeedbackDeps(
            made.judge,
            stage,
            self.recipe.seed,
            made.about,
            self.progress,
            earlier,
            made.likelihood,
        )
        return feedback.run(
            self._records(feedback.PAIRS_STAGE, Comparison),
            self.constitution,
            config,
            deps=deps,
            total=self.done[feedback.PAIRS_STAGE].kept,
        )

    def _preference(self, arm: str = AI) -> Manifest:
        config, name = self.recipe.preference, preference.STAGE + arm
        given = [file_digest(config.human)] if config.human else []
        stage = self._open(name, config, feedback.STAGE + arm, *given)
        records = self._records(feedback.STAGE + arm, Labelled)
        deps = preference.PreferenceDeps(
            self.base,
            stage,
            self.recipe.seed,
            self._progress_of(name),
            evaluated=self.prompts.evaluate,
            principles={one.id: one.text for one in self.constitution.principles},
        )
        return preference.run(records, replace(config, train=self._seeded(config.train)), deps=deps)

    def _rl(self, arm: str = AI) -> Manifest:
        config, name = self.recipe.rl, rl.STAGE + arm
        read = (sft.STAGE, feedback.STAGE + arm, preference.STAGE + arm)
        stage = self._open(name, config, *read, *self._judges_in(config))
        watched = config.on_policy and config.monitor.held_out
        deps = rl.RlDeps(
            self._trained(sft.STAGE),
            stage,
            lambda: self._reward(arm),
            self._progress_of(name),
            held_out=self._held_out if watched else None,
            refusal=refusal,
            evaluators=frozenset(s.identity for s in self._scorers().values())
            if watched
            else frozenset(),
            labellers=self._labellers(arm),
        )
        labels = self._records(feedback.STAGE + arm, Labelled)
        return rl.run(labels, self.prompts.pairs, config.seeded(self.recipe.seed), deps=deps)

    def _judges_in(self, config: rl.RlConfig) -> list[Any]:
        """What the verdicts of the judges that reward and watch depend on."""
        judges = self.recipe.all_judges()
        named = [config.reward] if config.reward != rl.PREFERENCE else []
        named += [config.monitor.held_out] if config.monitor.held_out else []
        if not named or not config.on_policy:
            return []
        made_of = [fingerprint(resolve(name, judges), judges) for name in named]
        return [self.constitution.digest, made_of]

    def _reward(self, arm: str) -> Scorer:
        if self.recipe.rl.reward == rl.PREFERENCE:
            return preference.reward_model(self.folder.path / (preference.STAGE + arm))
        return self._judged(self.recipe.rl.reward).scorer

    def _held_out(self) -> rl.Watched:
        made = self._judged(self.recipe.rl.monitor.held_out)
        return rl.Watched(made.scorer, frozenset(made.identities))

    def _judged(self, name: str) -> JudgedReward:
        """A judge as a scorer of single answers, under the principles of the labelling stage."""
        config, judges = self.recipe.feedback, self.recipe.all_judges()
        seed = self.recipe.seed
        return judged(
            resolve(name, judges),
            self.models,
            principles=Principles(
                self.constitution, config.harmful_tags, config.harmless_tags, seed
            ),
            start=Start(self._model(self._trained(sft.STAGE)), config.answer, seed),
            default_model=config.model or self.recipe.model,
            judges=judges,
        )

    def _labellers(self, arm: str = AI) -> frozenset[str]:
        notes = self.done[feedback.STAGE + arm].notes
        listed = notes["judge"].get("identities", ())
        return frozenset([str(notes["statistics"]["judge"]), *map(str, listed)])

    def _evaluate(self) -> Manifest:
        config, prompts = self.recipe.evaluate, self.prompts.evaluate
        scorers = [readout_identity(name) for name in (COMPLIANCE, HELPFUL)]
        arms = {twin.AI: AI, twin.PEOPLE: PEOPLE} if self.recipe.twin.judge else {twin.AI: AI}
        trained = [rl.STAGE + arm for arm in arms.values()]
        stage = self._open(evaluate.STAGE, config, prompts, sft.STAGE, *trained, scorers)
        if stage.manifest is not None:
            return stage.manifest
        models: dict[str, Callable[[], Model]] = {
            "base": lambda: self._model(self.base),
            "sl_cai": lambda: self._model(self._trained(sft.STAGE)),
        }
        deps = evaluate.EvaluateDeps(
            models={**models, **{name: partial(self._aligned, arm) for name, arm in arms.items()}},
            scorers=self._scorers(),
            folder=stage,
            seed=self.recipe.seed,
            progress=self.progress,
            used_as_label_or_reward=frozenset().union(*map(self._used, arms.values())),
        )
        return evaluate.run(prompts, config, deps=deps)

    def _used(self, arm: str) -> frozenset[str]:
        """Identities of all that labelled, rewarded, or chose a checkpoint."""
        notes = self.done[rl.STAGE + arm].notes
        watched = notes.get("monitor", {}).get("held_out_identities", ())
        rewarded = [notes["reward"]] if "reward" in notes else []
        return self._labellers(arm) | {*rewarded, *watched}

    def _aligned(self, arm: str) -> Model:
        """The policy of an arm: what was trained, or the best of n of what it started from."""
        config, model = self.recipe.rl, self._model(self._trained(rl.STAGE + arm))
        if config.method != rl.BEST_OF_N or config.best_of_n.when != "answering":
            return model
        asked = {prompt.messages: prompt for prompt in self.prompts.evaluate}
        scorer = self._reward(arm)
        reward = rl.as_reward(scorer, asked)
        return BestOfN(model, reward, config.best_of_n.n, chooser=scorer.identity)

    def _twin(self) -> Manifest:
        stage = self._open(twin.STAGE, evaluate.STAGE)
        judges = {twin.AI: AI, twin.PEOPLE: PEOPLE}
        labelled_by = {
            model: str(self.done[feedback.STAGE + arm].notes["statistics"]["judge"])
            for model, arm in judges.items()
        }
        answers = self._records(evaluate.STAGE, Answer)
        return twin.run(answers, deps=twin.TwinDeps(stage, labelled_by))

    def _critic(self) -> Checkpoint:
        critic = self.recipe.critique.critic
        if critic == "few-shot":
            return self.base
        if critic != CRITIC:
            return Checkpoint(critic)
        if self.recipe.model != "embedded":
            raise InputError(
                f"the embedded critic fits the embedded model only, not {self.recipe.model!r}",
                field="critique.critic",
                expected="few-shot, or the name of a model",
            )
        return Checkpoint(self.recipe.model, (str(folder_of(CRITIC)),))

    def _scorers(self) -> dict[str, Scorer]:
        """Evaluators. They read a model of their own; none of them labelled or rewarded."""
        model = self.models.local(Checkpoint("embedded"))
        compliance, helpful = shipped(COMPLIANCE, model), shipped(HELPFUL, model)
        reader = FeatureReader(model, compliance.card.features)
        return {
            "compliance": ComplianceScorer(reader, compliance),
            "refusal": LexicalRefusalScorer(),
            "helpful": HelpfulnessScorer(reader, helpful),
        }

    def _open(self, name: str, *asked: Any) -> StageFolder:
        """A stage's folder, keyed by settings and by the contents of the stages it reads."""
        key = self._key(asked)
        if not self.folder.fits(name, key):
            # What was made from an earlier version of this stage is no longer this run's.
            for later in self._after(name):
                self.folder.set_aside(later)
        return self.folder.stage(name, key)

    def _after(self, name: str) -> Iterator[str]:
        """Later stages that read this one; the two arms do not read each other."""
        order = stages_of(self.recipe)
        arm = next((arm for arm in (PEOPLE, AI) if name in [s + arm for s in _ARM]), None)
        for later in order[order.index(name) + 1 :]:
            other = AI if arm == PEOPLE else PEOPLE
            if arm is None or later not in [stage + other for stage in _ARM]:
                yield later

    def _key(self, asked: Sequence[Any]) -> list[Any]:
        parts = [self.done[a].files if isinstance(a, str) and a in self.done else a for a in asked]
        return [self.recipe.model, self.recipe.seed, *parts]

    def _finished(self, name: str, *asked: Any) -> Manifest | None:
        """The manifest of a stage that has done what is asked; nothing is moved or made."""
        if not self.folder.fits(name, self._key(asked)):
            return None
        return StageFolder(self.folder.path / name, name, "").manifest

    def _progress_of(self, name: str) -> Progress:
        """Progress under the name of a stage's folder: two arms run the same stages."""
        return lambda _, done, total: self.progress(name, done, total)

    def _seeded(self, settings: Tuned) -> Tuned:
        """Training settings with the run's seed added to their own."""
        return replace(settings, seed=settings.seed + self.recipe.seed)

    def _records(self, stage: str, type_: type[Any]) -> Iterator[Any]:
        return iter(StageFolder(self.folder.path / stage, stage, "").log(type_))

    def _trained(self, stage: str) -> Checkpoint:
        return msgspec.convert(self.done[stage].notes["checkpoint"], Checkpoint)

    def _model(self, checkpoint: Checkpoint) -> CachedModel:
        return CachedModel(self.models.lazily(checkpoint), self.cache)
