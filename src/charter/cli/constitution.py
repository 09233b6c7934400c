"""`charter constitution …`: the document."""

from __future__ import annotations

import click

from charter.cli.output import as_json_option, say


@click.group("constitution")
def group() -> None:
    """Look at constitutions."""


@group.command()
@click.argument("source", default="default")
@as_json_option
def show(source: str, as_json: bool) -> None:
    """Check a constitution and show its principles. Exit code 2 if it is not valid."""
    import msgspec

    from charter.constitution import document
    from charter.display import show_constitution

    found = document.load(source)
    if as_json:
        say({"digest": found.digest, **msgspec.to_builtins(found)}, True, "")
    else:
        show_constitution(found)
