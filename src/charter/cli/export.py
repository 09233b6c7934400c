"""`charter export`: labels and demonstrations of a run for other tools."""

from __future__ import annotations

import click

from charter.cli.output import as_json_option, say

_FORMATS = ("trl", "hf", "openrlhf", "verl", "icai", "sft")


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False))
@click.option("--format", "format_", type=click.Choice(_FORMATS), required=True)
@click.option("--out", type=click.Path(), required=True, help="File to write; with hf a folder.")
@as_json_option
def export(run: str, format_: str, out: str, as_json: bool) -> None:
    """Write the labels of the folder RUN in the format of another tool.

    \b
    trl       preference JSON lines: prompt, chosen, rejected, p and all that is known
    hf        the same as a folder for datasets.load_from_disk
    openrlhf  preference JSON lines: prompt, chosen, rejected
    verl      prompts for RL: parquet, or JSON lines if OUT does not end in .parquet
    icai      annotated pairs of Inverse Constitutional AI, version 2
    sft       texts to imitate, as messages in JSON lines
    """
    import msgspec

    from charter.formats.export import export

    found = export(run, format_, out)
    say(msgspec.to_builtins(found), as_json, found.text())
