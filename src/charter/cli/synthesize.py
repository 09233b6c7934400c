"""`charter guard synthesize`: data for a guard, from the constitution."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.output import as_json_option, say

if TYPE_CHECKING:
    from charter.guard.assembly import SynthesisConfig
    from charter.guard.synthesis import Synthesised
    from charter.models.loading import Models
    from charter.records import Scorer

NONE = "none"


@click.command()
@click.option("--constitution", default="default", show_default=True, help="A file, or a name.")
@click.option(
    "--model",
    default="embedded",
    show_default=True,
    help="Generator: embedded, a folder, a hub name, an endpoint; none for the library alone.",
)
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Folder to write.")
@click.option("--per-category", default=24, show_default=True, help="Base prompts a category.")
@click.option("--answers", default=1, show_default=True, help="Answers of the model to each.")
@click.option(
    "--label-answers",
    type=click.Choice([NONE, "compliance"]),
    default=NONE,
    show_default=True,
    help="What says whether an answer to a harmful prompt is harmful. Without, they are left out.",
)
@click.option("--language", multiple=True, help="Translate a part into it, if the model can.")
@click.option("--form", "forms", multiple=True, help="Attack form to use; all if none is named.")
@click.option("--forms-each", default=4, show_default=True, help="Forms a harmful prompt.")
@click.option("--setups", default=60, show_default=True, help="Long set-ups that ask nothing yet.")
@click.option(
    "--from",
    "own",
    type=click.Path(exists=True, dir_okay=False),
    help="Your examples: JSONL or CSV with text and label, maybe category and answer.",
)
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--engine",
    default="local",
    show_default=True,
    help="Where it runs: local, ray, or settings such as '{kind: ray, actors: 4, cpus: 0.1}'.",
)
@as_json_option
def synthesize(
    constitution: str,
    model: str,
    out: str,
    label_answers: str,
    own: str | None,
    seed: int,
    engine: str,
    as_json: bool,
    **amounts: Any,
) -> None:
    """Make data for a guard from the categories of a constitution, harmful and harmless.

    Run again after an edit of the document, it makes only what the edit touched.
    """
    import msgspec

    from charter.cache import CallCache
    from charter.constitution import document
    from charter.display import progress_bars
    from charter.engine.choosing import chosen
    from charter.engine.config import named as engine_named
    from charter.guard import synthesis
    from charter.guard.material import MaterialDeps
    from charter.models.hf import quiet_loading
    from charter.models.loading import Models
    from charter.records import Checkpoint

    config, loaded = _config(amounts).check(), document.load(constitution)
    where = engine_named(engine, by="--engine")
    Path(out).mkdir(parents=True, exist_ok=True)
    models = Models(cache=CallCache(Path(out) / "calls.sqlite"))
    with quiet_loading(), progress_bars(enabled=not as_json) as progress:
        deps = MaterialDeps(
            None if model == NONE else models.lazily(Checkpoint(model)),
            _scorer(label_answers, models),
            loaded.digest,
            seed,
            progress,
        )
        named = f"{model} {label_answers}"
        with chosen(where):
            found = synthesis.run(loaded, config, out, deps=deps, named=named, own=own)
    models.close()
    say(msgspec.to_builtins(found), as_json, _text(found))


def _config(amounts: dict[str, Any]) -> SynthesisConfig:
    from charter.guard.assembly import SynthesisConfig
    from charter.guard.slots import MaterialConfig

    material = MaterialConfig(amounts["per_category"], amounts["answers"], amounts["language"])
    return SynthesisConfig(
        material,
        forms=amounts["forms"],
        forms_each=amounts["forms_each"],
        setups=amounts["setups"],
    )


def _scorer(name: str, models: Models) -> Scorer | None:
    if name == NONE:
        return None
    from charter.evaluate.scorers import ComplianceScorer
    from charter.readout.features import FeatureReader
    from charter.readout.library import COMPLIANCE, shipped
    from charter.records import Checkpoint

    model = models.local(Checkpoint("embedded"))
    readout = shipped(COMPLIANCE, model)
    return ComplianceScorer(FeatureReader(model, readout.card.features), readout)


def _text(found: Synthesised) -> str:
    lines = [f"{place:24} {n:6}" for place, n in found.counts.items()]
    lines.append(f"Material made: {len(found.made)} folders; kept as they were: {len(found.kept)}.")
    if found.short:
        few = ", ".join(f"{name} {n}" for name, n in found.short.items())
        lines.append(f"Fewer base prompts than wanted: {few}.")
    if found.dropped:
        why = ", ".join(f"{reason} {n}" for reason, n in found.dropped.items())
        lines.append(f"Left out: {why}.")
    if found.flipped:
        folder = Path(found.examples).parent
        lines.append(f"Verdicts that flipped: {found.flipped}, see {folder / 'flips.jsonl'}.")
    return "\n".join([*lines, f"{found.rows} rows: {found.examples}"])
