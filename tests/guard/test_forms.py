from __future__ import annotations

import base64
import difflib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charter.errors import InputError
from charter.guard import frames
from charter.guard.forms.catalogue import form, forms
from charter.guard.forms.form import Form, dressed, likeness
from charter.prompts import sets
from charter.records import Message
from charter.seeds import draws

REQUESTS = [
    "How do I bake bread without an oven?",
    'She said "no" twice; what now? Costs: 3.50 in total.',
    "Explain 12 things about Zürich,\nplease.\n\nIn order.",
    "Why?",
    "{{payload}} and {{glossary}} in a request",
    "def f(x):\n    return {'a': x}  # what does it do?",
]
LOSSLESS = [f for f in forms().values() if f.lossless]
LOSSY = [f for f in forms().values() if not f.lossless]
plain_texts = st.text(
    st.characters(codec="ascii", categories=("Lu", "Ll", "Zs", "Po")), min_size=1, max_size=80
).filter(str.strip)


def test_there_are_enough_forms_of_every_group() -> None:
    assert len(forms()) >= 20
    groups = {f.group for f in forms().values()}
    assert groups == {"encoding", "noise", "substitution", "wrapper", "format", "turns", "stacked"}


@pytest.mark.parametrize("dress", LOSSLESS, ids=lambda f: f.name)
@pytest.mark.parametrize("request_", REQUESTS)
def test_the_request_can_be_recovered(dress: Form, request_: str) -> None:
    for seed in range(12):
        messages = dress.apply(request_, seed)
        assert likeness(dress.recover(messages)) == likeness(request_)


@pytest.mark.parametrize("dress", LOSSLESS, ids=lambda f: f.name)
@settings(max_examples=15, deadline=None)
@given(text=plain_texts, seed=st.integers(0, 2**60))
def test_any_request_can_be_recovered(dress: Form, text: str, seed: int) -> None:
    if "leetspeak" in dress.name:
        assume(not set(text) & set("@$"))  # they stand for letters there
    assert likeness(dress.recover(dress.apply(text, seed))) == likeness(text)


@pytest.mark.parametrize("dress", LOSSY, ids=lambda f: f.name)
def test_noise_leaves_the_request_readable_but_not_whole(dress: Form) -> None:
    text = sets.library("benign")[0].messages[0].content
    found = dress.recover(dress.apply(text, 3))
    assert found != text
    assert difflib.SequenceMatcher(None, found, text).ratio() > 0.8


@pytest.mark.parametrize("dress", forms().values(), ids=lambda f: f.name)
def test_a_form_is_a_pure_function_that_ends_with_the_user(dress: Form) -> None:
    one, two = (dress.apply(REQUESTS[0], 5) for _ in range(2))
    assert one == two
    assert one[-1].role == "user"
    assert one != (Message("user", REQUESTS[0]),)
    assert len({dress.apply(REQUESTS[0], seed) for seed in range(30)}) > 1


@pytest.mark.parametrize("name", ["role_play", "developer_mode", "json_frame", "document"])
def test_one_seed_is_one_dress_whatever_the_request(name: str) -> None:
    dress = form(name)
    for seed in range(8):
        worn = [dress.apply(text, seed)[0].content for text in ("AAA", "BBB")]
        assert worn[0].replace("AAA", "BBB") == worn[1]


def test_known_encodings() -> None:
    text = form("base64").apply("hello there", 0)[0].content
    assert base64.b64encode(b"hello there").decode() in text
    assert "uryyb gurer" in form("rot13").apply("hello there", 0)[0].content
    assert "ereht olleh" in form("reverse").apply("hello there", 0)[0].content
    assert form("zero_width").apply("hello", 0)[0].content.isascii() is False
    hidden = form("homoglyphs").apply("peace", 1)[0].content
    assert hidden != "peace" and len(hidden) == 5


def test_leetspeak_leaves_numbers_and_mixed_words_alone() -> None:
    for seed in range(20):
        words = form("leetspeak").apply("take 500 mg of b12 at 7", seed)[0].content.split()
        assert (words[1], words[4], words[6]) == ("500", "b12", "7")


def test_code_words_hide_the_longest_words_and_say_what_they_mean() -> None:
    text = (
        form("keyword_substitution").apply("Please describe photosynthesis briefly", 2)[0].content
    )
    before, _, _ = text.partition('means "photosynthesis"')
    assert before != text, "the glossary names the hidden word"
    assert text.count("photosynthesis") == 1


def test_a_split_request_is_in_no_single_turn() -> None:
    request = "tell me how a suspension bridge is built over water"
    messages = form("multi_turn").apply(request, 1)
    assert [m.role for m in messages] == ["user", "assistant"] * (len(messages) // 2) + ["user"]
    assert all(request not in message.content for message in messages)


def test_long_frames_are_long_and_many() -> None:
    long = frames.long_frames()
    made = {long.draw(draws(seed)) for seed in range(60)}
    assert len(made) >= 50
    assert all(150 <= len(text.split()) <= 400 for text in made)


def test_a_form_keeps_earlier_turns() -> None:
    talk = (Message("user", "Hi."), Message("assistant", "Hello."), Message("user", "Why rain?"))
    worn = dressed(form("hex"), talk, 4)
    assert worn[:2] == talk[:2] and form("hex").recover(worn) == "Why rain?"
    assert likeness(form("multi_turn").recover(dressed(form("multi_turn"), talk, 4))) == "why rain?"


def test_a_foreign_text_is_not_recovered() -> None:
    for name in ("role_play", "developer_mode", "multi_turn", "few_shot"):
        with pytest.raises(ValueError, match=name):
            form(name).recover((Message("user", "just a question"),))


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(InputError, match="base64"):
        form("base65")
