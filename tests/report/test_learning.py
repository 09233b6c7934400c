"""The section on learning from a reward, from files written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from charter.records import Rollout
from charter.report.files import RunFiles
from charter.report.learning import learnings
from charter.report.page import write_report
from charter.store import RunFolder

HOSTILE = "<script>alert(1)</script>"


def rate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 4}


def row(step: int, held_out: float | None) -> dict[str, Any]:
    phrase = [{"text": f"and {HOSTILE}", "count": 3}]
    return {
        "step": step,
        "reward": rate(0.1 * step),
        "held_out": None if held_out is None else rate(held_out),
        "kl": 0.5 * step,
        "repetition": {"distinct_2": 1 / step, "openings": phrase, "closings": phrase},
    }


def written(path: Path, *, finish: dict[str, Any] | None = None) -> RunFiles:
    stage = RunFolder(path).stage("rl", "asked")
    stage.log(dict, "monitor.jsonl").append([row(1, 0.5), row(2, 0.4), row(3, None)])
    samples = [
        Rollout("p1", f"{HOSTILE} {step}", None if n else 0.25, {"held_out": 0.125}, step)
        for step in (1, 2, 3)
        for n in range(6)
    ]
    stage.log(Rollout).append(samples)
    if finish is not None:
        stage.finish(1.0, {"monitor": finish})
    return RunFiles(path)


def test_the_first_and_the_last_samples_are_shown_with_each_part(tmp_path: Path) -> None:
    (found,) = learnings(written(tmp_path))
    assert [(step, len(samples)) for step, samples in found.samples] == [(1, 4), (3, 4)]
    first = found.samples[0][1]
    assert first[0].parts == [("paid", "0.25"), ("held out", "0.125")]
    assert first[1].parts[0] == ("paid", "none")
    assert found.closings == [(f"and {HOSTILE}", 3)]
    assert "gamed cannot be seen" in found.verdict


def test_curves_are_drawn_by_step_and_by_distance(tmp_path: Path) -> None:
    (found,) = learnings(written(tmp_path))
    text = " ".join(chart.picture for chart in found.charts)
    assert "held-out score by step" in text and "held-out score by √KL" in text
    assert "entropy" not in text  # nobody measured it


def test_the_verdict_says_how_it_ended(tmp_path: Path) -> None:
    ended = {"held_out": "gold@1", "stopped": True, "peak_step": 7, "steps": 12}
    (found,) = learnings(written(tmp_path / "a", finish=ended))
    assert "went back to step 7" in found.verdict and found.watched_by == "gold@1"
    (found,) = learnings(written(tmp_path / "b", finish={**ended, "stopped": False}))
    assert "after 12 steps" in found.verdict


def test_what_models_wrote_is_escaped_and_closed(tmp_path: Path) -> None:
    written(tmp_path)
    page = write_report(tmp_path).read_text()
    assert "Learning from the reward" in page
    assert HOSTILE not in page and "&lt;script&gt;alert(1)" in page


def test_a_run_without_a_monitor_has_no_such_section(tmp_path: Path) -> None:
    RunFolder(tmp_path)
    assert learnings(RunFiles(tmp_path)) == []
    assert "Learning from the reward" not in write_report(tmp_path).read_text()
