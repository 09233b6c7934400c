"""The pages in a real browser: they load quietly, alone, and what can be pressed works."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from charter.contrast import compare
from charter.report.page import write_report

from .browser import Browser, executable
from .conftest import DANGER, MODELS, SyntheticRun

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium on this machine")
_COLUMN = "[...{table}.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[{n}].textContent)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def report(whole_run: Path) -> Path:
    return write_report(whole_run)


@pytest.fixture(scope="module")
def comparison(whole_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole run beside one with other answers and another recipe."""
    other = tmp_path_factory.mktemp("other") / "second"
    shutil.copytree(whole_run, other)
    recipe = json.loads((other / "recipe.json").read_text())
    recipe["seed"] = 8
    (other / "recipe.json").write_text(json.dumps(recipe))
    again = SyntheticRun(other)
    again.random.seed(5)
    (other / "evaluate" / "records.jsonl").unlink()
    again.evaluate()
    out = tmp_path_factory.mktemp("out") / "comparison.html"
    compare([whole_run, other], out)
    return out


@pytest.fixture(params=["report", "comparison"])
def page(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def column(browser: Browser, table: str, n: int) -> list[str]:
    """Texts of the rows that are shown, in one column."""
    found: list[str] = browser.run(_COLUMN.format(table=f"document.querySelector({table!r})", n=n))
    return [" ".join(text.split()) for text in found]


def test_a_page_loads_quietly_and_asks_for_nothing(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.messages == []
    assert browser.requests == [page.as_uri()]
    assert browser.run("document.querySelectorAll('svg.chart').length") >= 7


def test_every_chart_has_a_size_and_words(browser: Browser, page: Path) -> None:
    browser.open(page)
    silent = "[...document.querySelectorAll('svg.chart')].filter(s => !s.getAttribute('aria-label')"
    assert browser.run(f"{silent} || s.getBoundingClientRect().height < 40).length") == 0
    bare = "[...document.querySelectorAll('figure')].filter(f => !f.querySelector('a[download]'))"
    assert browser.run(f"{bare}.length") == 0


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_any_width(
    browser: Browser, page: Path, width: int, scheme: str
) -> None:
    browser.size(width)
    browser.media("screen", scheme)
    browser.open(page)
    root = "document.documentElement"
    assert browser.run(f"{root}.scrollWidth - {root}.clientWidth") <= 0


def test_a_heading_sorts_its_table_by_numbers_both_ways(browser: Browser, page: Path) -> None:
    browser.open(page)
    # The column of n or of counts: numbers with other texts beside them.
    table = "#dropped table" if "comparison" not in page.name else "#paired table"
    n = 2 if "comparison" not in page.name else 5
    press = f"document.querySelector('{table}').tHead.rows[0].cells[{n}].firstChild.click()"
    state = f"document.querySelector('{table}').tHead.rows[0].cells[{n}].getAttribute('aria-sort')"
    browser.run(press)
    assert browser.run(state) == "ascending"
    numbers = [int(text) for text in column(browser, table, n)]
    assert numbers == sorted(numbers) and len(set(numbers)) > 1
    browser.run(press)
    assert browser.run(state) == "descending"
    assert [int(text) for text in column(browser, table, n)] == sorted(numbers, reverse=True)


def test_a_filter_keeps_the_rows_that_hold_every_word(browser: Browser, comparison: Path) -> None:
    browser.open(comparison)
    table = "#headline table.sortable"
    before = column(browser, table, 0)
    browser.run(
        "(() => { const field = document.querySelector('#headline input');"
        "field.value = 'helps harm'; field.dispatchEvent(new Event('input')); })()"
    )
    kept = column(browser, table, 0)
    assert len(kept) == len(MODELS) < len(before)
    assert all("Helps with harm" in text for text in kept)
    told = browser.run("document.querySelector('#headline [role=status]').textContent")
    assert told == f"{len(kept)} of {len(before)}"


def test_the_switch_changes_the_colours_and_is_kept(browser: Browser, page: Path) -> None:
    browser.media("screen", "light")
    browser.open(page)
    paper = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(paper)
    browser.run("document.querySelector('.theme').click()")
    assert browser.run(paper) == light
    browser.run("document.querySelector('.theme').click()")
    dark = browser.run(paper)
    assert dark != light
    browser.open(page)
    assert browser.run(paper) == dark
    browser.run("document.querySelector('.theme').click()")
    assert browser.run(paper) == light
    browser.media("screen", "dark")
    assert browser.run(paper) == dark


def test_paper_is_white_and_closed_text_stays_closed(browser: Browser, page: Path) -> None:
    browser.media("print", "dark")
    browser.open(page)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert DANGER not in browser.run("document.body.innerText")
    browser.media("screen")


def test_a_link_to_a_record_opens_it_only_if_it_is_harmless(browser: Browser, report: Path) -> None:
    browser.open(report)
    for which, state in ((":not(.sensitive)", True), (".sensitive", False)):
        # The sample is drawn by a hash, so the page is asked for an example of each sort.
        found = browser.run(f"document.querySelector('#answers details.example{which}').id")
        browser.run(f"location.hash = '{found}'; window.dispatchEvent(new Event('hashchange'))")
        assert browser.run(f"document.getElementById('{found}').open") is state
        assert browser.run("document.activeElement.parentNode.id") == found
