"""Result files of lm-evaluation-harness, kept with a run and shown in its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from charter.errors import DataError
from charter.interop.lm_eval import keep
from charter.report.page import write_report


def results(path: Path, accuracy: float) -> Path:
    figures = {"alias": "piqa", "acc,none": accuracy, "acc_stderr,none": 0.02}
    tree = {"results": {"piqa": figures}, "n-samples": {"piqa": {"effective": 600}}}
    path.write_text(json.dumps(tree))
    return path


def test_figures_are_kept_with_their_interval_and_shown(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    found = keep(results(tmp_path / "r.json", 0.7), run, "rl_cai")
    (one,) = found.measurements
    assert (one.model, one.metric, one.value, one.n) == ("rl_cai", "lm_eval:piqa/acc", 0.7, 600)
    assert one.low == pytest.approx(0.7 - 1.96 * 0.02, abs=1e-4)
    page = write_report(run).read_text()
    assert "lm_eval:piqa/acc" in page and "66 to 74\u202f%" in page


def test_a_second_result_replaces_the_same_figure_only(tmp_path: Path) -> None:
    keep(results(tmp_path / "r.json", 0.7), tmp_path, "rl_cai")
    keep(results(tmp_path / "r.json", 0.6), tmp_path, "base")
    keep(results(tmp_path / "r.json", 0.5), tmp_path, "rl_cai")
    kept = json.loads((tmp_path / "lm_eval" / "measurements.json").read_text())
    assert {(k["model"], k["value"]) for k in kept} == {("base", 0.6), ("rl_cai", 0.5)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [("no json", "cannot be read"), ("[1]", "has no results"), ('{"results": {}}', "no figure")],
)
def test_what_is_no_result_is_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(DataError, match=problem):
        keep(tmp_path / "r.json", tmp_path, "base")
