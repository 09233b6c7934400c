"""The numbers beside a figure: what a spreadsheet, a program and a reader get."""

from __future__ import annotations

import base64
import csv
import io
import json

from charter.report.exhibit import Exhibit, curve, slug


def content(link: str, kind: str) -> str:
    head, _, body = link.partition(",")
    assert head == f"data:{kind};base64"
    return base64.b64decode(body).decode()


def test_csv_and_json_hold_the_same_numbers() -> None:
    data = Exhibit("x", ("name", "value"), [("a, b", 1 / 3), ("c", None)])
    rows = list(csv.reader(io.StringIO(content(data.csv, "text/csv"))))
    assert rows == [["name", "value"], ["a, b", "0.333333"], ["c", ""]]
    assert json.loads(content(data.json, "application/json")) == [
        {"name": "a, b", "value": 0.333333},
        {"name": "c", "value": None},
    ]


def test_a_text_never_becomes_a_formula_and_a_negative_number_stays_one() -> None:
    data = Exhibit("x", ("name", "value"), [('=HYPERLINK("x")', -2.5), ("@a", -1)])
    rows = list(csv.reader(io.StringIO(content(data.csv, "text/csv"))))
    assert rows[1:] == [['\'=HYPERLINK("x")', "-2.5"], ["'@a", "-1"]]


def test_a_short_curve_is_also_a_table_and_a_long_one_a_file_only() -> None:
    short = curve("sft", [(0, 2.5), (1, 1.25)], "step", "loss")
    long = curve("sft", [(i, i) for i in range(300)], "step", "loss")
    assert short is not None and short.shown == [["0", "2.5"], ["1", "1.25"]]
    assert long is not None and long.shown == []
    assert len(json.loads(content(long.json, "application/json"))) == 300
    assert curve("sft", [], "step", "loss") is None


def test_names_of_files_hold_no_path() -> None:
    assert slug("../../etc", "√KL by Step") == "etc-kl-by-step"
    assert slug("…") == "data"
