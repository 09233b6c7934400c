from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from charter.collective import opinion_map as maps
from charter.collective.opinion_map import HEIGHT, WIDTH, opinion_map
from charter.collective.page import gap, page
from charter.collective.stage import CollectConfig, run

Make = Callable[..., Any]
ATTACK = '<script>alert(1)</script><img src=x onerror="alert(2)">'


class Tags(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


def _page(electorate: Make, text: str = "Statement 0.", **config: Any) -> str:
    conversation = electorate(people=150).conversation
    conversation = replace(conversation, topic=text, texts=(text, *conversation.texts[1:]))
    return page(run(conversation, CollectConfig(**config)), conversation)


def test_what_people_write_is_text_and_nothing_else(electorate: Make) -> None:
    html = _page(electorate, ATTACK)
    found = Tags(html)
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert not {name for name in found.attributes if name.startswith("on")}
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    assert not re.search(r"(src|href)=", html.replace("src=x", ""))


def test_every_participant_is_a_dot_and_every_group_has_a_name(electorate: Make) -> None:
    tags = Tags(_page(electorate))
    assert tags.tags.count("circle") == 150


def test_the_page_says_what_the_result_says(electorate: Make) -> None:
    conversation = electorate(people=150).conversation
    outcome = run(conversation, CollectConfig())
    html = page(outcome, conversation)
    best = outcome.collected.statements[0]
    assert f"{best.gac:.3f}" in html
    assert f"{best.by_group[0].agree} of {best.by_group[0].seen}" in html
    assert outcome.collected.digest in html
    assert html.count("<h2>") == 6 + ("Rejected by every group" in html) - 1


def test_an_empty_draft_is_said(electorate: Make) -> None:
    html = _page(electorate, threshold=1.0)
    assert "No statement reaches the threshold." in html
    assert "so no constitution is drafted" in html


def test_a_large_map_is_drawn_from_a_sample(
    electorate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps, "_DRAWN", 50)
    html = _page(electorate)
    assert Tags(html).tags.count("circle") == 50
    assert "50 of 150 are drawn" in html


def test_the_map_fits_its_picture_and_names_what_pulls(electorate: Make) -> None:
    planted = electorate(groups=2, people=150)
    outcome = run(planted.conversation, CollectConfig())
    drawn = opinion_map(outcome.plane, outcome.grouping, planted.conversation.texts, 0)
    assert all(0 <= float(d.x) <= WIDTH and 0 <= float(d.y) <= HEIGHT for d in drawn.dots)
    right, left = drawn.pulls[:2]
    side = {text: s.by_group for s in outcome.collected.statements for text in [s.text]}
    middle = {d.group: float(d.x) for d in drawn.middles}
    # Those on the right agree more with what pulls to the right.
    for pull, toward in ((right, max), (left, min)):
        there = toward(middle, key=lambda group: middle[group])
        other = 3 - there
        for text in pull.statements:
            assert side[text][there - 1].rate.value > side[text][other - 1].rate.value


def test_the_gap_is_between_groups_that_saw_it(electorate: Make) -> None:
    outcome = run(electorate(groups=2).conversation, CollectConfig())
    statement = outcome.collected.statements[-1]
    shares = [votes.rate.value for votes in statement.by_group]
    assert gap(statement) == pytest.approx(max(shares) - min(shares))
