"""YAML that people write: parsed with its line numbers, and errors that say where they stand.

Knows no schema: the constitution and the recipe bring their own, and their own kind of error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from charter.errors import InputError

_PARSER_SLIPS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What the parser raises, beside YAML errors, on odd tags (`!!int x`) and endless nesting."""

_DEEPEST = 100
"""Brackets open at once, wherever they stand; people write three or four."""


def parse(text: str, *, file: str | Path, kind: type[InputError]) -> Any:
    """The mapping that a text holds; it remembers the lines of its keys.

    Raises:
        InputError: of the given kind, naming file and line, if it is not YAML or not a mapping.
    """
    _refuse_deep_nesting(text, file, kind)
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise kind(f"not valid YAML: {error.problem}", file=file, line=line) from error
    except YAMLError as error:
        reason = _first_line(error)
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        raise kind(f"not valid YAML: {reason}", file=file, line=line) from error
    except _PARSER_SLIPS as error:
        reason = f"{type(error).__name__}: {_first_line(error)}"
        raise kind(f"not valid YAML: {reason}", file=file, line=1) from error
    if not isinstance(tree, dict):
        raise kind("not a mapping", file=file, line=1, expected="a YAML mapping")
    return tree


def line_of(tree: Any, keys: Sequence[int | str]) -> int | None:
    """1-based line of the deepest part of a path that stands in the file, None if none does."""
    line, node = None, tree
    for key in keys:
        try:
            mark = node.lc.item(key) if isinstance(key, int) else node.lc.key(key)
            line, node = int(mark[0]) + 1, node[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line


def _refuse_deep_nesting(text: str, file: str | Path, kind: type[InputError]) -> None:
    """The parser's time grows with the cube of the brackets that are open: minutes for 1,500."""
    depth = 0
    for bracket in re.finditer(r"[\[\]{}]", text):
        depth = max(0, depth + (1 if bracket[0] in "[{" else -1))
        if depth > _DEEPEST:
            line = text.count("\n", 0, bracket.start()) + 1
            raise kind("nested too deeply", file=file, line=line, expected=f"{_DEEPEST} levels")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason given")
