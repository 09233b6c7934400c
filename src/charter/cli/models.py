"""`charter models …`: the models at hand."""

from __future__ import annotations

import click

from charter.cli.output import as_json_option, say


@click.group("models")
def group() -> None:
    """The models at hand."""


@group.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List what can be used without a download."""
    from charter.display import show_models
    from charter.models.catalogue import available

    found = available()
    if as_json:
        say(found, True, "")
    else:
        show_models(found)


@group.command()
@click.argument("name", default="embedded")
@as_json_option
def pull(name: str, as_json: bool) -> None:
    """Make a model ready: convert the embedded one, or fetch a hub model into the local cache."""
    from charter.models.catalogue import pull

    path = str(pull(name))
    say({"model": name, "path": path}, as_json, f"{name}: {path}")
