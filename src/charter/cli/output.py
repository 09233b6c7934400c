"""What all commands share: saying a result to people or to machines, and writing it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

as_json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON object."
)


def say(value: Any, as_json: bool, text: str) -> None:
    """Print `value` as one line of JSON, or `text` for people."""
    click.echo(json.dumps(value, ensure_ascii=False) if as_json else text)


def write(out: Path, text: str) -> None:
    """Write a file that the user named, whole or not at all; its folder is made if need be."""
    from charter.errors import StoreError, boundary
    from charter.store import write_atomic

    with boundary(StoreError, f"making folder {str(out.parent)!r}", catch=(OSError,)):
        out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, text.encode())
