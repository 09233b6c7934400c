"""`charter collect`: from votes on statements to the draft of a constitution."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from charter.cli.output import as_json_option, say

if TYPE_CHECKING:
    from charter.collective.conversation import Conversation
    from charter.collective.stage import Collected

_SHOWN = 10
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(exists=True, path_type=Path)
)
@click.option("--votes", type=_FILE, help="participants-votes.csv or votes.csv, plain or .gz.")
@click.option("--comments", type=_FILE, help="comments.csv, plain or .gz.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.723,
    show_default=True,
    help="Group-aware consensus from which a statement becomes a principle.",
)
@click.option("--groups", type=click.IntRange(1, 5), help="Opinion groups; else the best k.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to.  [default: collected/NAME]",
)
@as_json_option
def collect(
    folder: Path | None,
    votes: Path | None,
    comments: Path | None,
    threshold: float,
    groups: int | None,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Draft a constitution from votes: what people of every opinion group agree with.

    DIR is the folder of a Polis export. The draft is for a person to review.
    """
    import msgspec

    from charter.collective import files, stage

    conversation = _conversation(folder, votes, comments)
    config = stage.CollectConfig(threshold=threshold, groups=groups, seed=seed)
    outcome = stage.run(conversation, config)
    written = files.write(outcome, conversation, out or Path("collected") / conversation.name)
    if as_json:
        say({**msgspec.to_builtins(outcome.collected), "files": written}, True, "")
    else:
        _show(outcome.collected, written)


def _conversation(folder: Path | None, votes: Path | None, comments: Path | None) -> Conversation:
    from charter.collective.conversation import read_files, read_folder

    if folder is not None and votes is None and comments is None:
        return read_folder(folder)
    if folder is None and votes is not None and comments is not None:
        return read_files(votes, comments)
    raise click.UsageError("Give either DIR, or both --votes and --comments.")


def _show(collected: Collected, written: dict[str, str]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(
        box=SIMPLE, expand=True, title=f"Highest consensus among {len(collected.statements)}"
    )
    for name in ("id", "consensus", "95 %", *_group_names(collected)):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("statement", no_wrap=True, ratio=1)
    for found in collected.statements[:_SHOWN]:
        table.add_row(
            str(found.id),
            f"{found.gac:.3f}" if found.selected else f"({found.gac:.3f})",
            f"{found.gac_low:.2f} to {found.gac_high:.2f}",
            *(f"{votes.agree}/{votes.seen}" for votes in found.by_group),
            Text(" ".join(found.text.split())),
        )
    console.print(table)
    for line in _summary(collected):
        console.print(Text(line))
    for kind, path in written.items():
        console.print(Text(f"{kind}: {path}"), soft_wrap=True)


def _summary(collected: Collected) -> list[str]:
    counted = (
        f"{len(collected.selected)} of {len(collected.statements)} statements reach "
        f"{collected.config.threshold:g}; {len(collected.divisive)} are divisive."
    )
    grouped = (
        f"{collected.grouped} of {collected.participants} participants are in a group: "
        f"{', '.join(map(str, collected.groups))}."
    )
    return [counted, grouped, *(f"Note: {note}" for note in collected.notes)]


def _group_names(collected: Collected) -> list[str]:
    return [f"group {number}" for number, _ in enumerate(collected.groups, start=1)]
