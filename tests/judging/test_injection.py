"""Injected commands: where they stand, and which are tried."""

from __future__ import annotations

from charter.judging.injection import CONTROL, FORMS, Place, forms_for, put

ANSWER = "One two three. Four five six. Seven eight nine."


def test_the_answer_itself_stays_whole() -> None:
    places: tuple[Place, ...] = ("start", "middle", "end")
    for place in places:
        for answer in (ANSWER, "word", "two words"):
            found = put(answer, CONTROL, place)
            before, after = found.split(CONTROL)
            assert (before + after).replace(" ", "").strip() == answer.replace(" ", "")


def test_places() -> None:
    assert put(ANSWER, "X", "start").startswith("X\n\nOne")
    assert put(ANSWER, "X", "end").endswith("nine.\n\nX")
    assert put(ANSWER, "X", "middle") == "One two three. Four five six. X Seven eight nine."


def test_forms_are_many_different_and_in_every_place() -> None:
    assert len({form.name for form in FORMS}) == len({form.text for form in FORMS}) == len(FORMS)
    assert len(FORMS) >= 10
    assert {form.place for form in FORMS} == {"start", "middle", "end"}


def test_a_pair_gets_different_forms_and_always_the_same() -> None:
    for count in (1, 3, len(FORMS)):
        found = forms_for("pair", count, seed=0)
        assert len({form.name for form in found}) == count
        assert found == forms_for("pair", count, seed=0)
    tried = {forms_for(f"pair{n}", 1, seed=0)[0].name for n in range(200)}
    assert tried == {form.name for form in FORMS}
