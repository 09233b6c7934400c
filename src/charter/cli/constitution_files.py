"""`charter constitution import`, `export` and `propose`: documents from and for other tools."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.output import as_json_option, say, write

if TYPE_CHECKING:
    from charter.constitution.clauses import Constitution
    from charter.constitution.formats.importing import Imported

# Written out, since `charter --help` must not load the readers; a test compares them.
FORMATS = [
    "llm-swarm",
    "annotated-pairs",
    "constitutional-evals",
    "bai",
    "bai-comparisons",
    "json-list",
    "proposals",
    "model-spec",
    "model-spec-examples",
    "prose",
    "list",
    "charter",
]
TARGETS = [
    "markdown",
    "yaml",
    "json",
    "html",
    "system-prompt",
    "llm-swarm",
    "bai",
    "bai-comparisons",
]
_OUT = click.Path(dir_okay=False, path_type=Path)
_format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="What FILE is; found out by its content without it.",
)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_format_option
@click.option("--examples", type=click.Path(path_type=Path), help="Footnotes of a Model Spec.")
@click.option("--out", type=_OUT, help="YAML, Markdown (.md) or JSON (.json); else it is printed.")
@as_json_option
def import_(
    file: Path, format_: str | None, examples: Path | None, out: Path | None, as_json: bool
) -> None:
    """Read FILE, a constitution of another project, as a document.

    Forms that it lacks are drafted from its texts; such clauses have the tag `draft`.
    """
    from charter.constitution.editing import to_yaml
    from charter.constitution.formats.importing import import_file

    found = import_file(file, format_, examples=examples)
    if out is not None:
        write(out, _text_for(out, found.document))
    if as_json:
        say(_summary(found, out), True, "")
    elif out is None:
        click.echo(to_yaml(found.document), nl=False)
    else:
        _show(found, out)


@click.command()
@click.argument("source", metavar="DOC")
@click.option("--to", "target", type=click.Choice(TARGETS), required=True)
@click.option("--out", type=_OUT, help="File to write; else it is printed.")
@click.option("--lossy", is_flag=True, help="Write it even if the format cannot hold all of it.")
@as_json_option
def export(source: str, target: str, out: Path | None, lossy: bool, as_json: bool) -> None:
    """Write the document DOC in another format.

    The formats of other projects are refused where they cannot hold all of it; see --lossy.
    """
    from charter.constitution import document
    from charter.constitution.formats import exporting

    found = exporting.export(document.load(source), target, lossy=lossy)
    if out is not None:
        write(out, found.text)
    if as_json:
        text: dict[str, Any] = {"text": found.text} if out is None else {}
        say({"to": target, "out": _path(out), "lost": list(found.lost), **text}, True, "")
    elif out is None:
        click.echo(found.text, nl=False)
    else:
        lost = f"; it does not hold {', '.join(found.lost)}" if found.lost else ""
        click.echo(f"{target}: {out}{lost}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", default="embedded", show_default=True, help="Model that proposes.")
@_format_option
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="First N requests only.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=_OUT, required=True, help="Review file (YAML) to write.")
@as_json_option
def propose(
    file: Path,
    model: str,
    format_: str | None,
    limit: int | None,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Let a model propose testable principles in the prose of FILE, for a person to review.

    Each rests on words quoted from FILE. Write `accepted: true` at those to keep, then import the
    review file: nothing else of it enters a document.
    """
    import msgspec

    from charter.constitution.formats import proposals
    from charter.constitution.formats.given import open_file
    from charter.constitution.formats.importing import import_text
    from charter.constitution.formats.proposing import propose as ask
    from charter.models.hf import quiet_loading
    from charter.models.loading import Models
    from charter.records import Checkpoint

    given = open_file(file)
    document = import_text(given, format_).document
    with quiet_loading():
        opened = Models().get(Checkpoint(model))
        review = ask(document, given, opened, seed=seed, limit=limit)
    write(out, proposals.as_yaml(review))
    left_out = f" (left out: {_counted(review.left_out)})" if review.left_out else ""
    text = f"{len(review.proposals)} proposals from {review.asked} requests{left_out}: {out}"
    say({"out": str(out), **msgspec.to_builtins(review)}, as_json, text)


commands: tuple[click.Command, ...] = (import_, export, propose)


def _summary(found: Imported, out: Path | None) -> dict[str, Any]:
    import msgspec

    document = found.document
    summary = {
        "format": found.format,
        "name": document.name,
        "digest": document.digest,
        "principles": len(document.principles),
        "drafts": found.drafts,
        "levels": _levels(document),
        "left_out": found.left_out,
        "out": _path(out),
    }
    return summary if out else {**summary, "document": msgspec.to_builtins(document)}


def _show(found: Imported, out: Path) -> None:
    document = found.document
    levels = ", ".join(f"{count} {level}" for level, count in _levels(document).items())
    click.echo(f"{found.format}: {len(document.principles)} principles ({levels or 'no levels'})")
    if found.drafts:
        click.echo(
            f"{found.drafts} have forms drafted by a template: rewrite those with the tag `draft`"
        )
    if found.left_out:
        click.echo(f"left out: {_counted(found.left_out)}")
    click.echo(f"Document: {out}")


def _levels(document: Constitution) -> dict[str, int]:
    counts = Counter(p.level for p in document.principles)
    return {level: counts[level] for level in document.levels}


def _counted(left_out: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items())


def _text_for(out: Path, document: Constitution) -> str:
    from charter.constitution.editing import to_yaml
    from charter.constitution.formats.exporting import to_json
    from charter.constitution.markdown import to_markdown

    writers = {".md": to_markdown, ".markdown": to_markdown, ".json": to_json}
    return writers.get(out.suffix.lower(), to_yaml)(document)


def _path(out: Path | None) -> str | None:
    return None if out is None else str(out)
