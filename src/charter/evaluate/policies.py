"""Models by the names that people give them: a name, a folder, an adapter, a stage of a run.

    embedded · HuggingFaceTB/SmolLM2-135M-Instruct · openai:NAME@URL · DIR · RUN:sl_cai

Owns which checkpoint a name means, and who labelled for it or rewarded it: what made a model must
not measure it. Loads nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from charter.errors import InputError
from charter.records import Checkpoint, Record
from charter.store import Manifest, RunFolder

STAGES = {"base": "", "sl_cai": "sft", "rl_cai": "rl"}
"""Models of a run, and the stage that made each."""
_ADAPTER = "adapter_config.json"


class Policy(Record, frozen=True):
    """A model to be measured.

    Attributes:
        checkpoint: what to load.
        used: identities of the judges and scorers that labelled for it, or rewarded it.
    """

    checkpoint: Checkpoint
    used: tuple[str, ...] = ()


def policy(name: str) -> Policy:
    """What a name means.

    Raises:
        InputError: it names a run or a folder that does not hold the model.
    """
    run, colon, stage = name.rpartition(":")
    if colon and stage in STAGES:
        return _of_run(Path(run), stage)
    folder = Path(name)
    if (folder / _ADAPTER).exists():
        return Policy(_adapted(folder))
    if folder.is_dir() and not (folder / "config.json").exists():
        expected = ", ".join(f"{name}:{stage}" for stage in STAGES)
        raise InputError("is no model's folder", file=name, field="--models", expected=expected)
    return Policy(Checkpoint(name))


def _of_run(run: Path, stage: str) -> Policy:
    recipe = run / "recipe.json"
    if not recipe.exists():
        raise InputError("is no run folder", file=run, field="--models", expected="RUN:sl_cai")
    if stage == "base":
        return Policy(Checkpoint(json.loads(recipe.read_text(encoding="utf-8"))["model"]))
    manifests = RunFolder(run).manifests()
    manifest = manifests.get(STAGES[stage])
    if manifest is None or "checkpoint" not in manifest.notes:
        raise InputError(
            f"the run has no finished {stage}", file=run, field="--models", expected="RUN:base"
        )
    found = msgspec.convert(manifest.notes["checkpoint"], Checkpoint)
    adapters = tuple(str(_lying(Path(a), run)) for a in found.adapters)
    checkpoint = Checkpoint(found.base, adapters, found.digest)
    return Policy(checkpoint, () if stage == "sl_cai" else made_by(manifests))


def made_by(manifests: dict[str, Manifest]) -> tuple[str, ...]:
    """Identities that labelled or rewarded in a run."""
    notes: dict[str, Any] = manifests["feedback"].notes if "feedback" in manifests else {}
    judges = [
        notes.get("statistics", {}).get("judge"),
        *notes.get("judge", {}).get("identities", ()),
    ]
    rewarded = manifests["rl"].notes.get("reward") if "rl" in manifests else None
    return tuple(sorted({str(id) for id in (*judges, rewarded) if id}))


def _lying(adapter: Path, run: Path) -> Path:
    """Where an adapter lies now: a run folder may have been moved since."""
    moved = run / adapter.parent.name / adapter.name
    return moved if moved.is_dir() else adapter


def _adapted(folder: Path) -> Checkpoint:
    """An adapter by itself names its base."""
    base = json.loads((folder / _ADAPTER).read_text(encoding="utf-8")).get(
        "base_model_name_or_path"
    )
    if not base:
        raise InputError("the adapter does not name its base model", file=folder, field="--models")
    return Checkpoint(str(base), (str(folder),))
