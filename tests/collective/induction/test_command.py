"""`charter induce` as people call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from charter.cli import main as cli
from charter.collective.induction.preferences import Preferences
from charter.constitution import document
from charter.records import Labelled, PrincipleVote, Verdict
from charter.store import RECORDS, RunFolder

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    def called(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["charter", "induce", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return called


def jsonl(path: Path, preferences: Preferences) -> Path:
    rows = [
        {"prompt": c.prompt.messages[0].content, "a": c.a, "b": c.b, "label": "a" if s > 0 else "b"}
        for c, s in zip(preferences.comparisons, preferences.signs, strict=True)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def run_of(path: Path, preferences: Preferences) -> Path:
    """A run labelled under two written principles, each about the pairs of one question."""
    labels = []
    for c, sign in zip(preferences.comparisons, preferences.signs, strict=True):
        p = 0.5 + 0.4 * sign
        name = "prefers-oak" if "tree" in c.prompt.messages[0].content else "prefers-tea"
        labels.append(Labelled(c, Verdict(c.id, p, (PrincipleVote(name, p, p),), "judge@1")))
    stage = RunFolder(path).stage("feedback", "asked")
    stage.log(Labelled, RECORDS).append(labels)
    stage.finish(1.0)
    return path


def test_a_document_is_written_and_loads(call: Call, planted: Preferences, tmp_path: Path) -> None:
    pairs, out = jsonl(tmp_path / "pairs.jsonl", planted), tmp_path / "new" / "doc.yaml"
    code, shown, _ = call("--pairs", pairs, "--out", out)
    assert code == 0
    assert "12 right of 12 held-out pairs" in shown
    assert f"Document: {out}" in shown
    assert {p.title for p in document.load(out).principles} == {
        "Rather “oak” than “pine”",
        "Rather “tea” than “rum”",
    }


def test_json_has_the_agreed_fields(call: Call, planted: Preferences, tmp_path: Path) -> None:
    code, shown, err = call(
        "--pairs", jsonl(tmp_path / "p.jsonl", planted), "--json", "--seed", "3"
    )
    found = json.loads(shown)
    assert (code, err) == (0, "")
    assert found["above_chance"] is True
    assert found["document"] is None
    assert (found["train_pairs"], found["held_out_pairs"]) == (28, 12)
    assert found["config"]["seed"] == 3
    first = found["principles"][0]
    assert set(first["held_out"]["explained"]) == {"value", "low", "high", "n"}
    assert first["held_out"]["agree"] == 6


def test_noise_is_said_and_no_document_is_written(
    call: Call, noise: Callable[[int, int], Preferences], tmp_path: Path
) -> None:
    pairs, out = jsonl(tmp_path / "noise.jsonl", noise(40, 0)), tmp_path / "doc.yaml"
    code, shown, _ = call("--pairs", pairs, "--out", out)
    assert code == 0
    assert "not above chance" in shown
    assert "No document is written." in shown
    assert not out.exists()


def test_a_run_closes_the_loop(call: Call, planted: Preferences, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", planted)
    code, shown, _ = call("--run", run, "--json")
    found = json.loads(shown)
    assert code == 0
    best: dict[str, tuple[str, float]] = {}
    for one in found["matches"]:
        if one["correlation"]:
            best.setdefault(one["learned"], (one["written"], one["correlation"]["value"]))
    assert best["rather-oak-than-pine"] == ("prefers-oak", pytest.approx(1.0))
    assert best["rather-tea-than-rum"] == ("prefers-tea", pytest.approx(1.0))
    assert "rather-oak-than-pine votes most like the written prefers-oak" in call("--run", run)[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "either --pairs FILE or --run RUN"),
        (("--pairs", "x.csv", "--run", "."), "either --pairs FILE or --run RUN"),
        (("--pairs", "nowhere.csv"), "nowhere.csv: no such file"),
        (("--run", "."), "the labels are not finished"),
        (("--pairs", "few.csv"), "2 pairs with a preference"),
        (("--pairs", "many.csv", "--proposer", "embedded", "--judge", "scripted"), "cannot test"),
        (("--pairs", "many.csv", "--judge", "nobody"), "nobody"),
        (("--pairs", "few.csv", "--held-out", "1"), "--held-out"),
    ],
)
def test_wrong_use_is_said_with_exit_code_2(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    head = "text_a,text_b,preferred_text\n"
    (tmp_path / "few.csv").write_text(head + "yes,no,text_a\nno,yes,text_b\n")
    (tmp_path / "many.csv").write_text(head + "yes,no,text_a\n" * 10)
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert said in err
