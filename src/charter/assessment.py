"""Scorers and models by name, put to the test: `charter scorer test`, `charter evaluate --models`.

Joins what `evaluate` measures with what must be loaded for it. What is asked and counted is
`evaluate`'s business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from charter.constitution import document
from charter.constitution.document import Constitution
from charter.constitution.drawing import GENERAL, tagged
from charter.engine.local import Progress, silent
from charter.errors import InputError
from charter.evaluate import comparison, harness
from charter.evaluate.comparison import Comparison, Opener
from charter.evaluate.config import COMPLIANCE, HELPFUL, REFUSAL
from charter.evaluate.examination import Examination, examine
from charter.evaluate.labelled import COMPLIED, DECLINED, Columns, read_labelled
from charter.evaluate.policies import Policy, policy
from charter.evaluate.refusal import LexicalRefusalScorer
from charter.evaluate.rubric import RubricScorer
from charter.evaluate.scorers import ComplianceScorer, HelpfulnessScorer
from charter.evaluate.suites.catalogue import BUILDERS, build
from charter.evaluate.suites.counting import RUBRIC
from charter.evaluate.suites.sources import Sources
from charter.evaluate.suites.suite import Bench
from charter.judging.config import JudgeConfig
from charter.judging.making import make
from charter.models.embedded import NAME as EMBEDDED
from charter.models.hf import HFModel
from charter.models.likelihood import mean_logprobs
from charter.models.loading import Models
from charter.readout.features import FeatureReader
from charter.readout.library import shipped
from charter.readout.linear import CARD, load
from charter.records import Checkpoint, Measurement, Record, Sampling, Scorer

JUDGE = "judge:"
"""What stands before the name of a judge among the models of a comparison."""


class Asked(Record, frozen=True):
    """What `charter evaluate --models` was asked to do."""

    models: tuple[str, ...]
    suites: tuple[str, ...]
    """Names; `NAME=FILE` reads another file; `lm_eval:TASK` runs the harness; `all`."""
    limit: int | None = None
    data: str | None = None
    out: str | None = None
    constitution: str = "default"
    judge: str = ""
    """A judge that chooses in the suites with two options: `embedded` or a readout's folder."""
    rubric: str = ""
    """A model that grades harmful compliance by a rubric."""
    threshold: float = 0.5
    seed: int = 0
    sampling: Sampling = Sampling(max_tokens=64, temperature=0.7)


def try_scorer(
    scorer: str,
    answers: str | Path,
    columns: Columns,
    *,
    positive: Collection[str] = (),
    model: str = "",
    limit: int | None = None,
    threshold: float = 0.5,
    progress: Progress = silent,
) -> Examination:
    """Test a scorer on answers that people labelled.

    Args:
        scorer: `compliance`, `refusal`, `rubric`, or the folder of a readout.
        answers: the file.
        columns: where prompt, answer and label stand.
        positive: labels that mean what the scorer looks for; else those that are known, which are
            the refusals for `refusal` and going along for all others.
        model: the judge of `rubric`; the model that a readout of one's own reads.
        limit: how many answers to use, the first ones.
        threshold: of the reading from which the scorer says yes.
        progress: told how many answers are scored.

    Raises:
        InputError: the scorer, the file or a label cannot be used; nothing was loaded.
        ModelError: the scorer's model cannot be loaded.
    """
    _check_scorer(scorer, model)
    known = DECLINED if scorer == REFUSAL else COMPLIED
    file = read_labelled(answers, columns, positive=positive, known=known, limit=limit)
    with closing(Models()) as models:
        found = _scorer(scorer, models, model)
        return examine(found, file, threshold=threshold, progress=progress)


def evaluate(asked: Asked, *, progress: Progress = silent) -> Comparison:
    """Put suites to models and compare them prompt by prompt.

    Raises:
        InputError: a model, a suite or a file cannot be used; nothing was loaded.
        ModelError: a model cannot be loaded or run.
    """
    constitution = document.load(asked.constitution)
    if asked.judge:
        _judge_config(asked.judge)
    policies = {name: policy(name) for name in dict.fromkeys(asked.models)}
    names, files, tasks = _parsed(asked.suites)
    sources = Sources(constitution, asked.threshold, asked.data, files)
    suites = [suite.cut(asked.limit) for suite in build(names, sources)]
    used = frozenset(id for one in policies.values() for id in one.used)
    harnessed, skipped = _harness(tasks, policies, asked)
    with closing(Models()) as models:
        wanted = {name for suite in suites for name in (*suite.scorers, *suite.optional)}
        scorers = {name: _scorer(name, models, asked.rubric) for name in _order(wanted, asked)}
        found = comparison.run(
            _benches(policies, models, scorers, asked, constitution),
            suites,
            scorers,
            used=used,
            threshold=asked.threshold,
            seed=asked.seed,
            out=Path(asked.out) if asked.out else None,
            progress=progress,
        )
    found = replace(found, harness=harnessed, skipped=skipped)
    if asked.out:
        comparison.save(Path(asked.out), found)
    return found


def _parsed(asked: Sequence[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Names of suites, the files that stand in for their sources, and tasks of the harness."""
    names, files, tasks = [], {}, []
    for text in asked:
        if text.startswith(harness.PREFIX):
            tasks.append(text.removeprefix(harness.PREFIX))
            continue
        name, equals, file = text.partition("=")
        names += [*BUILDERS] if name == "all" else [name]
        if equals:
            files[name] = file
    return names, files, tasks


def _harness(
    tasks: Sequence[str], policies: Mapping[str, Policy], asked: Asked
) -> tuple[list[Measurement], dict[str, str]]:
    if tasks and not harness.installed():
        return [], {f"{harness.PREFIX}{task}": harness.MISSING for task in tasks}
    found = []
    for name, one in policies.items():
        for task in tasks:
            limit, seed = asked.limit, asked.seed
            found += harness.run_task(task, name, one.checkpoint, limit=limit, seed=seed)
    return found, {}


def _order(wanted: Collection[str], asked: Asked) -> list[str]:
    every = (COMPLIANCE, REFUSAL, HELPFUL, *((RUBRIC,) if asked.rubric else ()))
    return [name for name in every if name in wanted]


def _benches(
    policies: Mapping[str, Policy],
    models: Models,
    scorers: Mapping[str, Scorer],
    asked: Asked,
    constitution: Constitution,
) -> dict[str, Opener]:
    """How each model is set up; the judge, if there is one, stands last."""
    found: dict[str, Opener] = {
        name: partial(_bench, name, one, models, scorers, asked) for name, one in policies.items()
    }
    if asked.judge:
        name = f"{JUDGE}{asked.judge}"
        found[name] = partial(_judge_bench, name, asked, constitution, models)
    return found


@contextmanager
def _bench(
    name: str, one: Policy, models: Models, scorers: Mapping[str, Scorer], asked: Asked
) -> Iterator[Bench]:
    model = models.get(one.checkpoint)
    likelihood = partial(mean_logprobs, model) if isinstance(model, HFModel) else None
    yield Bench(name, model, scorers, likelihood, sampling=asked.sampling, seed=asked.seed)


@contextmanager
def _judge_bench(
    name: str, asked: Asked, constitution: Constitution, models: Models
) -> Iterator[Bench]:
    config = _judge_config(asked.judge)
    made = make(config, constitution, models, default_model=EMBEDDED, judges={})
    principles = tuple(p.id for p in tagged(constitution, (GENERAL,)))
    yield Bench(name, None, judge=made.judge, principles=principles, seed=asked.seed)


def _judge_config(judge: str) -> JudgeConfig:
    """Settings of the readout judge that a name or a folder means."""
    if judge == EMBEDDED:
        return JudgeConfig("readout", model=EMBEDDED)
    if not (Path(judge) / CARD).exists():
        raise InputError(
            f"no judge {judge!r}", field="--judge", expected="embedded, or a readout's folder"
        )
    return JudgeConfig("readout", model=load(Path(judge)).card.model.partition("@")[0], path=judge)


def _check_scorer(scorer: str, model: str) -> None:
    if scorer == RUBRIC and not model:
        raise InputError("the rubric needs a judge", field="--model", expected="a model's name")
    if scorer not in (COMPLIANCE, REFUSAL, RUBRIC) and not (Path(scorer) / CARD).exists():
        raise InputError(
            f"no scorer {scorer!r}",
            field="--scorer",
            expected=f"{COMPLIANCE}, {REFUSAL}, {RUBRIC}, or the folder of a readout",
        )


def _scorer(name: str, models: Models, model: str) -> Scorer:
    """A scorer, and what it must load."""
    if name == REFUSAL:
        return LexicalRefusalScorer()
    if name == RUBRIC:
        return RubricScorer(models.get(Checkpoint(model)))
    if name in (COMPLIANCE, HELPFUL):
        local = models.local(Checkpoint(EMBEDDED))
        readout = shipped(name, local)
        reader = FeatureReader(local, readout.card.features)
        made = ComplianceScorer if name == COMPLIANCE else HelpfulnessScorer
        return made(reader, readout)
    readout = load(Path(name))
    local = models.local(Checkpoint(model or readout.card.model.partition("@")[0]))
    if readout.card.model != local.identity:
        problem = f"was trained on {readout.card.model}, not {local.identity}"
        raise InputError(problem, file=name, field="--model", expected="the model it reads")
    reader = FeatureReader(local, readout.card.features)
    return ComplianceScorer(reader, readout, readout.card.axes[0])
