"""The whole loop on the real embedded model, through the command, on a handful of prompts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from charter.errors import ModelError
from charter.models import embedded
from charter.pipeline import STAGES
from charter.records import Labelled, RevisionChain, Verdict
from charter.store import StageFolder

pytestmark = [pytest.mark.embedded, pytest.mark.slow]
METRICS = {
    "harmful_compliance",
    "over_refusal",
    "helpful_win_rate",
    "elo_harmless",
    "elo_helpful",
    "mean_tokens",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        embedded.gguf_path()
    except ModelError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    done = charter("run", "smoke", f"run={folder}", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == str(folder)
    return folder


def charter(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "charter.cli.main", *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def manifest(run: Path, stage: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / stage / "manifest.json").read_text())
    return found


def test_every_stage_has_finished(run: Path) -> None:
    for stage in STAGES:
        assert manifest(run, stage)["stage"] == stage


def test_summary_keeps_its_contract(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    assert {"recipe", "constitution_digest", "measurements", "dropped", "seconds"} <= set(summary)
    assert set(summary["seconds"]) == set(STAGES)
    found = {(m["model"], m["metric"]): m for m in summary["measurements"]}
    for model in ("base", "sl_cai", "rl_cai"):
        assert {metric for m, metric in found if m == model} >= METRICS
    for m in summary["measurements"]:
        assert m["low"] <= m["value"] <= m["high"]
        assert m["n"] + m["unscored"] > 0


def test_chains_cite_principles_and_change_the_draft(run: Path) -> None:
    chains = list(StageFolder(run / "critique", "critique", "").log(RevisionChain))
    assert chains
    document = json.loads((run / "constitution.json").read_text())
    known = {principle["id"] for principle in document["principles"]}
    assert {step.principle for chain in chains for step in chain.steps} <= known
    assert any(chain.steps[-1].revision != chain.draft for chain in chains)


def test_labels_are_soft_and_independent_of_position(run: Path) -> None:
    labels = [r.label for r in StageFolder(run / "feedback", "feedback", "").log(Labelled)]
    verdicts = [label for label in labels if isinstance(label, Verdict)]
    assert verdicts
    assert all(0 < v.p_a < 1 for v in verdicts)
    for vote in (vote for v in verdicts for vote in v.votes):
        assert vote.p_as_given == pytest.approx(vote.p_swapped, abs=1e-5)


def test_who_labelled_does_not_evaluate(run: Path) -> None:
    notes = manifest(run, "evaluate")["notes"]
    assert not set(notes["scorers"].values()) & set(notes["labelled_or_rewarded"])


def test_report_is_one_self_contained_page(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert "</html>" in page
    assert 'src="http' not in page and 'href="http' not in page


def test_second_call_does_nothing_again(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.glob("*/records.jsonl")}
    assert charter("run", "smoke", f"run={run}", "--json").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in run.glob("*/records.jsonl")} == before


def test_a_record_is_walked_back_to_its_clauses(run: Path) -> None:
    chain = next(iter(StageFolder(run / "critique", "critique", "").log(RevisionChain)))
    done = charter("show", chain.id, "--run", str(run), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {c["id"] for c in found["clauses"]} == {s.principle for s in chain.steps}
