"""A campaign: rounds of attacks, what they found, and what the guard learned in between.

    OUT/
    ├── redteam/records.jsonl   every attempt
    ├── round-N/                rows.jsonl, examples.jsonl: what that round's successes teach
    └── redteam.json, .md, .html

Owns the order of things; this is the file to read first. Sends, judges, counts and trains nothing
itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from charter.constitution.document import Constitution
from charter.errors import InputError
from charter.guard.examples import GuardExample
from charter.guard.redteam import feedback, findings, page, plan, tax
from charter.guard.redteam.attempt import Attempt
from charter.guard.redteam.behaviours import Asked, Task
from charter.guard.redteam.feedback import Retrainer
from charter.guard.redteam.findings import Findings
from charter.guard.redteam.guarded import Defence, GuardedTarget
from charter.guard.redteam.judging import Judge
from charter.guard.redteam.sending import STAGE, Sender
from charter.guard.redteam.target import Target
from charter.records import Record, Sampling, digest
from charter.store import RunFolder, write_atomic

FILE = "redteam.json"


class CampaignConfig(Record, frozen=True):
    """What is done."""

    forms: tuple[str, ...]
    """Names, `plain` among them; see `plan.chosen_forms`."""
    rounds: int = 1
    """Each wears new dresses; with a `Retrainer` the guard learns in between."""
    staged: bool = True
    """Whether the output stage is attacked with what got past the input stage."""
    sampling: Sampling = Sampling(max_tokens=256, temperature=0.0)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CampaignDeps:
    """What a campaign is given.

    Attributes:
        target: what is attacked.
        judge: held out; see `judging.check_held_out`.
        constitution: whose clauses the rows cite.
        defence: a guard to put before the target in this process.
        retrain: makes that guard learn between rounds.
        report: told of the progress.
    """

    target: Target
    judge: Judge
    constitution: Constitution
    defence: Defence | None = None
    retrain: Retrainer | None = None
    report: Callable[[str, int, int], None] = lambda *_: None


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked."""

    behaviours: Asked
    benign: Asked
    tasks: tuple[Task, ...] = ()


def run(questions: Questions, config: CampaignConfig, out: Path, *, deps: CampaignDeps) -> Findings:
    """Attack, count, and write it all down.

    A campaign that was cut off goes on where it was. One with other questions, settings, target or
    judge in the same folder starts anew, and the old attempts are set aside.

    Raises:
        InputError: a setting is out of range.
        ModelError: the target or the judge failed; what was made until then is kept.
    """
    if config.rounds < 1:
        raise InputError(f"is {config.rounds}", field="--rounds", expected="1 or more")
    started, folder = time.monotonic(), RunFolder(out)
    with folder.locked():
        stage = folder.stage(STAGE, _asked(questions, config, deps))
        log = stage.log(Attempt)
        sender = Sender(deps.judge, log, config.sampling, config.seed, deps.report)
        made = _rounds(questions, config, out, deps, sender)
        taxes = _taxes(questions.tasks, config, deps)
        if stage.manifest is None:
            stage.finish(time.monotonic() - started)
        found = findings.of(made, taxes, _about(questions, config, deps), deps.judge.errors)
        _write(out, found)
    return found


def _rounds(
    questions: Questions, config: CampaignConfig, out: Path, deps: CampaignDeps, sender: Sender
) -> list[list[Attempt]]:
    defence, learned = deps.defence, list[GuardExample]()
    made: list[list[Attempt]] = []
    for round_ in range(1, config.rounds + 1):
        target = deps.target if defence is None else GuardedTarget(deps.target, defence)
        made.append(_round(questions, config, target, sender, round_))
        learned += _teach(questions, config, out, deps, made[-1])
        if deps.retrain is not None and round_ < config.rounds and learned:
            deps.report(f"retraining {round_}", 0, 1)
            defence = deps.retrain(learned, round_)
            deps.report(f"retraining {round_}", 1, 1)
    return made


def _round(
    questions: Questions, config: CampaignConfig, target: Target, sender: Sender, round_: int
) -> list[Attempt]:
    """First every form, then, with the forms that got in, the output stage."""
    behaviours, seed = questions.behaviours.prompts, config.seed
    first = plan.in_forms("harmful", behaviours, config.forms, round_, seed)
    made = sender.send(target, first, f"attacks {round_}")
    if config.staged:
        second = plan.staged(made, behaviours, plan.passing_forms(made))
        made = [*made, *sender.send(target, second, f"staged {round_}")]
    twins = plan.in_forms("benign", questions.benign.prompts, config.forms, round_, seed)
    return [*made, *sender.send(target, twins, f"benign {round_}")]


def _teach(
    questions: Questions,
    config: CampaignConfig,
    out: Path,
    deps: CampaignDeps,
    made: Sequence[Attempt],
) -> list[GuardExample]:
    """Rows of one round, also written to its folder."""
    behaviours, twins = questions.behaviours.prompts, questions.benign.prompts
    rows = feedback.rows(made, behaviours, twins, deps.constitution, config.seed)
    folder = out / f"round-{made[0].round}"
    folder.mkdir(parents=True, exist_ok=True)
    feedback.write(folder, rows, feedback.examples(made, behaviours, deps.constitution))
    return rows


def _taxes(tasks: Sequence[Task], config: CampaignConfig, deps: CampaignDeps) -> dict[str, tax.Tax]:
    """Of the target as it is given: what a guard would block tells nothing of the model."""
    if not tasks:
        return {}
    sampling = replace(config.sampling, temperature=0.0)
    return tax.measure(deps.target, tasks, config.forms, sampling, config.seed, deps.report)


def _asked(questions: Questions, config: CampaignConfig, deps: CampaignDeps) -> Any:
    """What the folder is for: its attempts are kept while none of this changes."""
    guard = "" if deps.defence is None else deps.defence.classifier.identity
    settings = None if deps.defence is None else deps.defence.settings
    retrained = deps.retrain is not None
    asked = [questions.behaviours.prompts, questions.benign.prompts]
    who = [deps.target.identity, deps.judge.identity, deps.judge.threshold, guard, settings]
    # The tax has no records of its own, so tasks do not count here; its calls are in the cache.
    return [msgspec.to_builtins(config), who, retrained, digest(msgspec.to_builtins(asked))]


def _about(questions: Questions, config: CampaignConfig, deps: CampaignDeps) -> dict[str, Any]:
    guard = None if deps.defence is None else deps.defence.classifier.identity
    return {
        "target": deps.target.identity,
        "guard": guard,
        "judge": {
            "compliance": deps.judge.compliance.identity,
            "refusal": deps.judge.refusal.identity,
            "threshold": deps.judge.threshold,
            "error_rates": msgspec.to_builtins(deps.judge.errors),
        },
        "behaviours": _source(questions.behaviours),
        "benign": _source(questions.benign),
        "config": msgspec.to_builtins(config),
    }


def _source(asked: Asked) -> dict[str, Any]:
    return {"source": asked.source, "n": len(asked.prompts), "left_out": asked.left_out}


def _write(out: Path, found: Findings) -> None:
    for name, text in (("redteam.md", page.markdown(found)), ("redteam.html", page.html(found))):
        write_atomic(out / name, text.encode())
    blob = msgspec.json.format(msgspec.json.encode(found))
    write_atomic(out / FILE, blob + b"\n")
