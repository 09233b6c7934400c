"""What all commands share: saying a result to people or to machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

as_json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON object."
)


def say(value: Any, as_json: bool, text: str) -> None:
    """Print `value` as one line of JSON, or `text` for people."""
    click.echo(json.dumps(value, ensure_ascii=False) if as_json else text)
