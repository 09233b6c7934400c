"""The page as a reader, and as an attacker, would meet it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from charter.errors import DataError, StoreError
from charter.report.page import write_report

DANGER = "DANGEROUS-WORDS"
_DOWNLOAD = re.compile(r"data:(text/csv|application/json);base64,[A-Za-z0-9+/=]+$")
_VOID = {"meta", "link", "br", "hr", "img", "input"}


class Outline(HTMLParser):
    """Elements as a browser sees them: what stands where, and inside which open elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, list[tuple[str, dict[str, str | None]]]]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.unbalanced: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.stack.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop()[0] != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append((data, list(self.stack)))

    def text_of(self, section: str) -> str:
        inside = [
            text for text, stack in self.texts if any(a.get("id") == section for _, a in stack)
        ]
        return " ".join(" ".join(inside).split())


@pytest.fixture(scope="module")
def html(whole_run: Path) -> str:
    return write_report(whole_run).read_text()


@pytest.fixture(scope="module")
def outline(html: str) -> Outline:
    return Outline(html)


def test_markup_in_records_stays_text(html: str, outline: Outline) -> None:
    assert "alert(1)" in html
    assert "<script>alert" not in html
    scripts = [tag for tag, _ in outline.elements if tag == "script"]
    assert len(scripts) == 1


def test_closing_tags_in_records_close_nothing(outline: Outline) -> None:
    assert outline.unbalanced == []
    assert outline.stack == []


def test_dangerous_text_stands_only_inside_closed_details(outline: Outline) -> None:
    seen = [stack for text, stack in outline.texts if DANGER in text]
    assert len(seen) > 50
    for stack in seen:
        assert any(tag == "details" and "open" not in attrs for tag, attrs in stack)
        assert not any(tag == "summary" for tag, _ in stack)


def test_details_of_dropped_records_are_not_shown(synthetic) -> None:
    """`Dropped.detail` holds pieces of answers; only the reason and its count are for the page."""
    run = synthetic.describe()
    stage = run.folder.stage("critique", "c")
    run._drop(stage, ["draft_empty"] * 3)
    html = write_report(run.path).read_text()
    assert "draft_empty" in html
    assert DANGER not in html


def test_nothing_is_loaded_from_anywhere(html: str, outline: Outline) -> None:
    assert not re.search(r"https?:|@import|url\(", html)
    for tag, attrs in outline.elements:
        assert tag not in ("link", "img", "iframe", "object", "base", "form")
        assert "src" not in attrs
        link = attrs.get("href") or "#"
        assert link.startswith("#") or (_DOWNLOAD.match(link) and attrs["download"])
        assert not any(name.startswith("on") for name in attrs)


def test_the_policy_allows_the_pages_own_script_and_no_other(html: str) -> None:
    script = html.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert "default-src 'none'" in html


def test_every_link_of_the_contents_leads_somewhere(outline: Outline) -> None:
    ids = [attrs["id"] for _, attrs in outline.elements if attrs.get("id")]
    links = [str(attrs["href"]) for tag, attrs in outline.elements if tag == "a"]
    targets = [link[1:] for link in links if link.startswith("#")]
    assert set(targets) <= set(ids)
    assert len(ids) == len(set(ids))


def test_headline_shows_value_interval_n_and_unscored(outline: Outline) -> None:
    text = outline.text_of("headline")
    # 64 of 84, and its Wilson interval.
    assert "76 %" in text
    assert "66 to 84 %" in text
    assert "n = 84" in text
    assert "2 unscored" in text
    assert "zero by definition" in text


def test_labels_show_rates_with_intervals(outline: Outline) -> None:
    text = outline.text_of("labels")
    # 231 of 288 consistent; 12 of 300 abstained.
    assert "80 %" in text and "75 to 84 %" in text
    assert "2 to 7 %" in text and "n = 300" in text


def test_every_principle_of_the_constitution_is_listed(outline: Outline, synthetic) -> None:
    text = outline.text_of("constitution")
    for principle in synthetic.constitution.principles:
        assert " ".join(principle.title.split()) in text
        assert principle.text in text


def test_reasons_for_leaving_out_are_counted(outline: Outline) -> None:
    text = outline.text_of("dropped")
    assert "Critique and revise draft_empty 5" in text
    assert "Collect demonstrations helpful_degenerate 11" in text


def test_same_run_same_bytes(whole_run: Path, html: str) -> None:
    assert write_report(whole_run).read_text() == html


def test_an_empty_run_gives_a_report_that_says_so(synthetic) -> None:
    outline = Outline(write_report(synthetic.path).read_text())
    for section in ("headline", "constitution", "chains", "labels", "preference", "answers"):
        assert "not run" in outline.text_of(section)


def test_a_run_halfway_shows_what_is_there(synthetic) -> None:
    run = synthetic.describe().critique(6)
    # A killed stage: records, half a line, no manifest.
    stage = run.folder.stage("feedback", "f")
    stage.log(type(run._label(1))).append([run._label(1), run._label(2)])
    with (stage.path / "records.jsonl").open("ab") as stream:
        stream.write(b'{"comparison": {"id": "c9')
    outline = Outline(write_report(run.path).read_text())
    assert "not run" not in outline.text_of("chains")
    assert "Comparisons 2" in outline.text_of("labels")
    assert "not run" in outline.text_of("answers")
    whole = " ".join(" ".join(text for text, _ in outline.texts).split())
    assert "AI feedback (unfinished)" in whole
    assert "Evaluation (not run)" in whole


def test_a_scorer_that_also_rewarded_is_called_out(synthetic) -> None:
    run = synthetic.describe().evaluate(2).summary()
    notes = {"scorers": {"compliance": "same@1"}, "labelled_or_rewarded": ["same@1"]}
    run.folder.stage("evaluate", "e").finish(1.0, notes)
    assert "also labelled or rewarded" in Outline(write_report(run.path).read_text()).text_of(
        "headline"
    )


def test_records_of_another_constitution_are_noticed(synthetic) -> None:
    run = synthetic.describe().critique(3)
    edited = msgspec.structs.replace(run.constitution, version="9.9")
    (run.path / "constitution.json").write_bytes(msgspec.json.encode(edited))
    text = Outline(write_report(run.path).read_text()).text_of("constitution")
    assert "Some records cite another document" in text
    assert run.constitution.digest in text


def test_no_such_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such run folder"):
        write_report(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_summary_names_the_file(synthetic) -> None:
    (synthetic.path / "summary.json").write_text('{"measurements": [{"model": 3}]}')
    with pytest.raises(StoreError, match=r"summary\.json"):
        write_report(synthetic.path)


def test_report_needs_no_model_library() -> None:
    code = (
        "import sys, charter.report.page;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], env=_env(), check=False).returncode == 0


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
