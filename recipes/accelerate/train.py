"""Train one model of a run in several processes: SFT, the preference model, or DPO.

    accelerate launch --config_file recipes/accelerate/ddp.yaml recipes/accelerate/train.py \\
        sft RECIPE OUT [KEY=VALUE]...

Reads the records that the run of RECIPE has made so far, trains with the recipe's settings in all
processes, and lets the first one write the checkpoint to OUT. The run's own folder is only read.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from charter import feedback, recipe, sft
from charter.errors import CharterError, DataError, InputError
from charter.records import Checkpoint, Demonstration, Labelled, Verdict
from charter.store import StageFolder
from charter.training import processes
from charter.training.examples import ChatExample, PairExample
from charter.training.preference import train_preference
from charter.training.run import train_dpo, train_sft

STAGES = ("sft", "preference", "dpo")


def main(stage: str, name: str, out: str, *overrides: str) -> None:
    """Train one stage and say where the checkpoint lies."""
    if stage not in STAGES:
        raise InputError(f"no such stage {stage!r}", expected=f"one of {', '.join(STAGES)}")
    loaded = recipe.load(name, overrides)
    processes.join()
    trained = {"sft": _sft, "preference": _preference, "dpo": _dpo}[stage](loaded, Path(out))
    if processes.rank() == 0:
        last = trained.curve[-1]
        print(f"{out}: {len(trained.curve)} steps, last loss {last['loss']:.4f}")


def _sft(loaded: recipe.Recipe, out: Path) -> Any:
    config, train = loaded.sft, _seeded(loaded, loaded.sft.train)
    records = _records(loaded, sft.DATA_STAGE, Demonstration)
    kept = sft.mixed(records, config.revisions_per_helpful, train.seed).kept
    examples = [ChatExample(r.prompt.messages, r.answer) for r in kept]
    return train_sft(Checkpoint(loaded.model), examples, train, out, packing=config.packing)


def _preference(loaded: recipe.Recipe, out: Path) -> Any:
    config = loaded.preference
    if config.human or config.principles:
        raise InputError(
            "people's pairs and single principles are mixed in by the stage alone",
            field="preference",
            expected="neither human nor principles here",
        )
    train = _seeded(loaded, config.train)
    return train_preference(
        Checkpoint(loaded.model), _pairs(loaded), train, out, centring=config.centring
    )


def _dpo(loaded: recipe.Recipe, out: Path) -> Any:
    rl, start = loaded.rl.seeded(loaded.seed), _manifest(loaded, sft.STAGE).notes["checkpoint"]
    start = msgspec.convert(start, Checkpoint)
    return train_dpo(start, _pairs(loaded), rl.train, rl.dpo, out)


def _pairs(loaded: recipe.Recipe) -> list[PairExample]:
    return [
        PairExample(r.comparison.prompt.messages, r.comparison.a, r.comparison.b, r.label.p_a)
        for r in _records(loaded, feedback.STAGE, Labelled)
        if isinstance(r.label, Verdict)
    ]


def _records(loaded: recipe.Recipe, stage: str, type_: type[Any]) -> list[Any]:
    _manifest(loaded, stage)
    return list(StageFolder(Path(loaded.run) / stage, stage, "").log(type_))


def _manifest(loaded: recipe.Recipe, stage: str) -> Any:
    found = StageFolder(Path(loaded.run) / stage, stage, "").manifest
    if found is None:
        raise DataError(f"stage {stage!r} has not finished", file=Path(loaded.run) / stage)
    return found


def _seeded(loaded: recipe.Recipe, settings: Any) -> Any:
    return replace(settings, seed=settings.seed + loaded.seed)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: train.py STAGE RECIPE OUT [KEY=VALUE]...")
    try:
        main(*sys.argv[1:])
    except CharterError as error:
        print(f"train.py: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
