"""The root of the command. Parses, calls, prints; every decision is made below."""

from __future__ import annotations

import sys

import click

from charter import __version__
from charter.cli import (
    audit,
    collect,
    constitution,
    evaluate,
    export,
    guard,
    induce,
    interop,
    judge,
    loop,
    models,
    records,
    report,
    scorer,
    study,
)
from charter.errors import CharterError

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_COMMANDS: tuple[click.Command, ...] = (
    *loop.commands,
    evaluate.evaluate,
    audit.audit,
    report.report,
    records.show,
    export.export,
    interop.group,
    constitution.group,
    guard.group,
    collect.collect,
    induce.induce,
    models.group,
    judge.group,
    scorer.group,
    study.group,
)


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="charter")
def cli() -> None:
    """Constitutional AI from one written document.

    Start with `charter run` (the embedded model, about twelve minutes on two cores), then
    open the report that it names.
    """


for _command in _COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Entry point: one clear message for what went wrong, and the exit code of its kind."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        click.echo("charter: interrupted; run the same command again to go on", err=True)
        sys.exit(130)
    except CharterError as error:
        click.echo(f"charter: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
