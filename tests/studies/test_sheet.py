"""What a study writes: nothing that is said can become markup."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from charter.statistics import Rate
from charter.studies.chart import series_chart
from charter.studies.sheet import Sheet, Table, save

NASTY = "<script>alert(1)</script> | a"


def test_text_is_escaped_and_every_format_has_the_table(tmp_path: Path) -> None:
    table = Table("figures", ("name", "value"), [(NASTY, 0.12345), ("none", None)])
    sheet = Sheet("trial", [NASTY], ["a limit"], [table])
    chart = series_chart({NASTY: [(0.0, Rate(1.0, 0.5, 1.5, 9))]}, "x", "y")
    files = save(tmp_path / "deep" / "out", sheet, {"n": 3}, {"a chart": chart})
    page = Path(files["html"]).read_text()
    assert "<script" not in page and "&lt;script&gt;" in page and "a chart" in page
    assert json.loads(Path(files["json"]).read_text())["n"] == 3
    text = Path(files["markdown"]).read_text()
    assert (
        "<script" not in text
        and "\\| a | 0.123 |" in text
        and "| none | – |" in text
        and "- a limit" in text
    )
    with open(files["csv-figures"], newline="") as stream:
        assert [*csv.reader(stream)] == [["name", "value"], [NASTY, "0.12345"], ["none", ""]]


def test_a_chart_without_points_is_empty() -> None:
    assert series_chart({}, "x", "y") == "" == series_chart({"a": []}, "x", "y")
