"""Places in JSON are found by path."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from charter.constitution.formats.given import Given
from charter.constitution.formats.json_text import JsonText, Node

TREES = st.recursive(
    st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.none(), st.just('"{[,:\\')),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


def numbered(node: Node) -> list[int]:
    """Lines of all values, in the order in which `json.dumps` with an indent writes them."""
    if isinstance(node.value, dict):
        inner = list(node.fields().values())
    else:
        inner = node.items() if isinstance(node.value, list) else []
    return [node.line, *(line for child in inner for line in numbered(child))]


def expected(tree: object, line: int) -> tuple[list[int], int]:
    """The lines, counted from the layout; and the line after the value."""
    if not isinstance(tree, dict | list) or not tree:
        return [line], line + 1
    lines, after = [line], line + 1
    for child in tree.values() if isinstance(tree, dict) else tree:
        inner, after = expected(child, after)
        lines += inner
    return lines, after + 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(TREES)
def test_every_value_is_found_on_its_line(tree: object) -> None:
    root = JsonText(Given("x", json.dumps(tree, indent=1))).root
    assert numbered(root) == expected(tree, 1)[0]


def test_a_path_that_is_not_there_gives_its_deepest_part() -> None:
    source = JsonText(Given("x", '{"a": [\n 1,\n 2]}'))
    assert [source.line(path) for path in [("a", 1), ("a", 7), ("b",), ("a", 1, "c")]] == [
        3,
        1,
        1,
        3,
    ]
