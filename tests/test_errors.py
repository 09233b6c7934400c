"""Messages, exit codes, and the attribution of foreign failures."""

from __future__ import annotations

import pytest

from charter.errors import (
    CharterError,
    DataError,
    DocumentError,
    InputError,
    ModelError,
    RecipeError,
    StoreError,
    TrainingError,
    WorkError,
    boundary,
)


def test_an_input_error_says_where_what_and_what_was_expected() -> None:
    error = DataError(
        "is empty", file="a.jsonl", line=7, field="messages[0].content", expected="some text"
    )
    wanted = "a.jsonl:7: field 'messages[0].content': is empty (expected some text)"
    assert str(error) == wanted
    assert (error.file, error.line, error.field) == ("a.jsonl", 7, "messages[0].content")


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({}, "wrong"),
        ({"file": "x.yaml"}, "x.yaml: wrong"),
        ({"line": 3}, "wrong"),
        ({"field": "seed"}, "field 'seed': wrong"),
    ],
)
def test_what_is_not_known_is_left_out(details: dict[str, object], message: str) -> None:
    assert str(InputError("wrong", **details)) == message  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (DocumentError, 2),
        (RecipeError, 2),
        (DataError, 2),
        (ModelError, 1),
        (StoreError, 1),
        (TrainingError, 1),
    ],
)
def test_exit_codes_tell_bad_input_from_failed_work(kind: type[CharterError], code: int) -> None:
    assert kind.exit_code == code
    assert issubclass(kind, InputError if code == 2 else WorkError)


def test_a_boundary_attributes_a_foreign_error_and_keeps_its_cause() -> None:
    with (
        pytest.raises(ModelError, match=r"^loading 'x' failed: first line$") as caught,
        boundary(ModelError, "loading 'x'", catch=(OSError,)),
    ):
        raise OSError("first line\nsecond line")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_boundary_names_an_error_that_says_nothing() -> None:
    with (
        pytest.raises(StoreError, match="writing failed: PermissionError"),
        boundary(StoreError, "writing", catch=(OSError,)),
    ):
        raise PermissionError


def test_a_boundary_lets_bugs_and_own_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), boundary(ModelError, "dividing", catch=(OSError,)):
        raise ZeroDivisionError
    own = TrainingError("no data")
    with (
        pytest.raises(TrainingError) as caught,
        boundary(ModelError, "training", catch=(Exception,)),
    ):
        raise own
    assert caught.value is own
