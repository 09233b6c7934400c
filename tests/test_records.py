"""Records: frozen, strict, digested by content, and the same bytes every time."""

from __future__ import annotations

import msgspec
import pytest

from charter.records import (
    Abstention,
    Checkpoint,
    Comparison,
    Labelled,
    Message,
    Model,
    Origin,
    PrincipleVote,
    Prompt,
    Request,
    Sampling,
    Verdict,
    digest,
)

PROMPT = Prompt("p1", (Message("user", "How are you?"),))
COMPARISON = Comparison("c1", PROMPT, "fine", "bad", Origin("pairs", "tiny@1"))


def test_a_digest_does_not_depend_on_key_order_and_depends_on_content() -> None:
    assert digest({"a": 1, "b": [2, {"c": 3, "d": 4}]}) == digest(
        {"b": [2, {"d": 4, "c": 3}], "a": 1}
    )
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest([1, 2]) != digest([2, 1])


def test_a_digest_is_the_same_on_every_machine() -> None:
    # sha256 of the JSON text {"a":1}
    assert digest({"a": 1}) == "015abd7f5cc57a2d"
    assert digest({"a": 1}, length=8) == "015abd7f"


def test_the_digest_of_a_record_changes_with_each_field() -> None:
    settings = Sampling()
    others = [
        msgspec.structs.replace(settings, **{name: value})
        for name, value in {
            "max_tokens": 65,
            "temperature": 0.5,
            "top_p": 0.9,
            "repetition_penalty": 1.1,
        }.items()
    ]
    assert len({digest(s) for s in [settings, *others]}) == 5


def test_swapping_exchanges_the_answers_and_keeps_the_id() -> None:
    swapped = COMPARISON.swap()
    assert (swapped.a, swapped.b, swapped.id) == ("bad", "fine", "c1")
    assert swapped.swap() == COMPARISON


def test_records_are_frozen() -> None:
    with pytest.raises(AttributeError):
        PROMPT.id = "other"  # type: ignore[misc]


def test_an_unknown_field_is_rejected() -> None:
    blob = b'{"role":"user","content":"hi","mood":"good"}'
    with pytest.raises(msgspec.ValidationError, match="mood"):
        msgspec.json.decode(blob, type=Message)


def test_a_role_off_the_list_is_rejected() -> None:
    with pytest.raises(msgspec.ValidationError, match="role"):
        msgspec.json.decode(b'{"role":"tool","content":"hi"}', type=Message)


@pytest.mark.parametrize(
    "label",
    [
        Verdict("c1", 0.75, (PrincipleVote("kind", 0.9, 0.6),), "judge@1"),
        Abstention("c1", "timeout", "judge@1"),
    ],
)
def test_a_label_comes_back_as_what_it_was(label: Verdict | Abstention) -> None:
    blob = msgspec.json.encode(Labelled(COMPARISON, label))
    back = msgspec.json.decode(blob, type=Labelled)
    assert back == Labelled(COMPARISON, label)
    assert type(back.label) is type(label)
    assert msgspec.json.encode(back) == blob


def test_a_vote_is_the_mean_of_both_orders() -> None:
    assert PrincipleVote("kind", 0.9, 0.6).p_a == pytest.approx(0.75)


def test_protocols_are_checked_by_shape() -> None:
    class Text:
        identity = "text@1"

        def generate(self, requests: list[Request]) -> list[str]:
            return []

    assert isinstance(Text(), Model)
    assert not isinstance(object(), Model)


def test_a_checkpoint_of_a_base_alone_has_no_adapters() -> None:
    assert Checkpoint("embedded").adapters == ()
