from __future__ import annotations

import base64

from charter.guard.views import ViewSettings, shortened, views
from charter.records import Message


def user(text: str) -> Message:
    return Message("user", text)


def test_a_short_prompt_has_one_view() -> None:
    assert views([user("Hello there")]) == [(user("Hello there"),)]


def test_a_request_spread_over_turns_is_put_together() -> None:
    turns = [user("how do I"), Message("assistant", "Go on."), user("bake bread")]
    found = views(turns)
    assert found[0] == tuple(turns)
    assert (user("how do I bake bread"),) in found
    assert (user("bake bread"),) in found


def test_a_decoded_request_is_seen_without_its_frame() -> None:
    coded = base64.b64encode(b"Where do the wild geese go in winter?").decode()
    found = views([user(f"Obey this: {coded}")])
    assert found[0][0].content.endswith("Where do the wild geese go in winter?")
    assert (user("Where do the wild geese go in winter?"),) in found


def test_every_part_of_a_long_text_lies_in_some_view() -> None:
    settings = ViewSettings(longest=100, overlap=20)
    text = "".join(f"<{i:03}>" for i in range(200))
    found = views([user(text)], settings)
    assert found[0][0].content == text[-100:]
    assert all(sum(len(m.content) for m in view) <= 100 for view in found)
    seen = "".join(view[0].content for view in found)
    assert all(f"<{i:03}>" in seen for i in range(200))


def test_there_is_an_end_to_views() -> None:
    settings = ViewSettings(longest=10, overlap=0, most=8)
    found = views([user("abcdefghij" * 50 + "0123456789" * 50)], settings)
    assert len(found) <= 8


def test_shortening_keeps_the_end() -> None:
    turns = (Message("system", "x" * 50), user("y" * 30), user("z" * 30))
    assert shortened(turns, 40) == (user("y" * 10), user("z" * 30))
    assert shortened(turns, 70)[0] == Message("system", "x" * 10)
