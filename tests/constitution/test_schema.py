"""The published schema is the one that the records give, and says what the reader says."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from charter.constitution import document, schema
from charter.errors import DocumentError

OVERLAY = {
    "format": "charter/overlay/1",
    "name": "mine",
    "version": "1",
    "base": "default",
    "drop": [{"id": "humility", "reason": "no"}],
}


@pytest.fixture(scope="module")
def check() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema.schema())
    return jsonschema.Draft202012Validator(schema.schema())


SMALL = {
    "format": "charter/constitution/1",
    "name": "small",
    "version": "1",
    "principles": [
        {
            "id": "kind",
            "title": "Be kind",
            "text": "The assistant is kind.",
            "critique_request": "Say where it is unkind.",
            "revision_request": "Make it kind.",
            "comparison_question": "Which is kinder?",
        }
    ],
}


def test_the_file_that_ships_is_the_generated_one() -> None:
    assert schema.shipped() == schema.text(), "run: charter constitution schema > …/schema.json"


def test_what_is_valid_passes(check: jsonschema.Draft202012Validator) -> None:
    shipped = YAML(typ="safe").load(document.contents(document.locate("default")))
    assert list(check.iter_errors(shipped)) == []
    assert list(check.iter_errors(SMALL)) == []
    assert list(check.iter_errors(OVERLAY)) == []


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("format",), "other/1"),
        (("version",), 1.0),
        (("principles",), []),
        (("principles", 0, "id"), "Über"),
        (("principles", 0, "weight"), 0),
        (("principles", 0, "title"), ""),
        (("principles", 0, "titel"), "x"),
        (("principles", 0, "over"), "honest"),
        (("changelog",), [{"version": "1"}]),
    ],
)
def test_what_is_refused_fails(
    check: jsonschema.Draft202012Validator, keys: tuple[str | int, ...], value: object
) -> None:
    broken: Any = deepcopy(SMALL)
    node = broken
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    assert list(check.iter_errors(broken))
    with pytest.raises(DocumentError):
        document.parse(json.dumps(broken))


def test_an_overlay_without_a_reason_fails(check: jsonschema.Draft202012Validator) -> None:
    assert list(check.iter_errors({**OVERLAY, "drop": [{"id": "humility"}]}))
