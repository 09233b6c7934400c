"""Figures of suites and of the harness, where a run folder holds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from charter.errors import StoreError
from charter.report.files import RunFiles
from charter.report.page import write_report
from charter.report.suites import suites

HOSTILE = "<script>alert(1)</script>"


def figure(metric: str, value: float | None, **more: object) -> dict[str, object]:
    return {"model": "rl_cai", "metric": metric, "value": value, "n": 50, "unscored": 1, **more}


def test_suites_the_harness_and_what_was_skipped_are_shown(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    compared = {
        "suites": [{"suite": "hhh", "measurements": [figure("hhh_accuracy", 0.62)]}],
        "harness": [figure("lm_eval:arc/acc", 0.25, low=0.2, high=0.3)],
        "skipped": {"lm_eval:x": HOSTILE},
    }
    (tmp_path / "more" / "comparison.json").write_text(json.dumps(compared))
    (tmp_path / "lm_eval").mkdir()
    kept = [figure("lm_eval:piqa/acc", 0.5, low=0.45, high=0.55)]
    (tmp_path / "lm_eval" / "measurements.json").write_text(json.dumps(kept))
    found = suites(RunFiles(tmp_path))
    assert found is not None
    assert [(x.suite, x.measure, x.unscored) for x in found.lines] == [
        ("lm-evaluation-harness", "lm_eval:piqa/acc", 1),
        ("hhh", "hhh_accuracy", 1),
        ("lm-evaluation-harness", "lm_eval:arc/acc", 1),
    ]
    assert found.lines[0].interval == "45 to 55\u202f%"
    page = write_report(tmp_path).read_text()
    assert "lm_eval:piqa/acc" in page and HOSTILE not in page


def test_a_run_without_suites_has_no_such_section(tmp_path: Path) -> None:
    assert suites(RunFiles(tmp_path)) is None
    assert 'id="suites"' not in write_report(tmp_path).read_text()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text('{"suites": 3}')
    with pytest.raises(StoreError, match=r"comparison\.json"):
        suites(RunFiles(tmp_path))
