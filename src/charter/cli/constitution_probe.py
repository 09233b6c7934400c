"""`charter constitution probe`: test scenarios for every clause, for a person to review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from charter.cli.output import as_json_option, say

if TYPE_CHECKING:
    from charter.records import Model


@click.command()
@click.argument("source", metavar="DOC", default="default")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="JSONL file to keep beside the document; what is reviewed in it stays.",
)
@click.option(
    "--per-principle",
    type=click.IntRange(1, 50),
    default=6,
    show_default=True,
    help="Temptations a clause, each with a harmless twin.",
)
@click.option("--model", help="Ask this model as well; templates fill up what it leaves.")
@click.option("--seed", type=int, default=0, show_default=True)
@as_json_option
def probe(
    source: str, out: Path, per_principle: int, model: str | None, seed: int, as_json: bool
) -> None:
    """Write requests that test each clause of DOC: temptations to break it, and harmless twins.

    Write `"reviewed": true` at those to use. `charter evaluate --suite adherence=FILE` asks them.
    """
    from charter.constitution import document
    from charter.constitution.probing import making
    from charter.constitution.probing import probe as probes

    loaded = document.load(source)
    earlier = probes.read(out) if out.exists() else ()
    asked = None if model is None else _opened(model)
    made = making.make(loaded, earlier, count=per_principle, seed=seed, model=asked)
    out.parent.mkdir(parents=True, exist_ok=True)
    probes.write(out, made.merged.probes)
    counts = made.merged.counts
    result = {
        "out": str(out),
        "principles": len(loaded.principles),
        "probes": len(made.merged.probes),
        **counts,
        "left_out": made.left_out,
    }
    text = f"{len(made.merged.probes)} probes for {len(loaded.principles)} clauses: {out}\n"
    text += ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in counts.items())
    text += "".join(f"; left out: {reason} {n}" for reason, n in made.left_out.items())
    say(result, as_json, text)


def _opened(name: str) -> Model:
    from charter.models.hf import quiet_loading
    from charter.models.loading import Models
    from charter.records import Checkpoint

    with quiet_loading():
        return Models().get(Checkpoint(name))
