"""The command `charter study`, on a gold reward and on a tiny random network."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from charter.cli import main as cli
from charter.errors import DataError
from charter.models.loading import Models
from charter.records import Prompt, Scored, Scorer
from charter.studies import running

Call = Callable[..., tuple[int, str, str]]
RECIPE = """
format: charter/recipe/1
name: tiny
model: {model}
critique: {{critic: few-shot}}
judges:
  lenient: {{kind: multiple-choice, min_mass: 0.0}}
feedback: {{judge: lenient}}
prompts: {{pairs_redteam: 6, pairs_benign: 2, eval_redteam: 2, eval_benign: 2}}
sft: {{train: {{learning_rate: 1.0e-3, lora_rank: 2}}}}
"""


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def charter(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["charter", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        found = capsys.readouterr()
        return code, found.out, found.err

    return charter


@pytest.fixture
def recipe(tmp_path: Path, tiny_model_folder: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(RECIPE.format(model=tiny_model_folder))
    return file


class Vowels:
    """Counts vowels; has nothing to say of an empty answer."""

    identity = "vowels@1"

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        return [
            Scored(float(len(re.findall("[aeiou]", text)))) if text else Scored(None, "empty")
            for _, text in exchanges
        ]


def test_the_known_curve_is_found_within_a_tenth(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, text, _ = call("study", "overoptimisation", "--synthetic", "--out", out, "--json")
    found = json.loads(text)
    assert code == 0 and found["mode"] == "synthetic" and len(found["truths"]) == 2
    for truth in found["truths"]:
        curve = next(
            c for c in found["curves"] if c["form"] == truth["form"] and c["scorer"] == "gold"
        )
        for name in ("alpha", "beta", "peak"):
            assert curve[name]["value"] == pytest.approx(truth[name], rel=0.1), (truth, name)
        assert curve["verdict"] == "past"
        assert truth["misfit"] < 0.03
    for path in found["files"].values():
        assert Path(path).stat().st_size > 100
    page = Path(found["files"]["html"]).read_text()
    assert "<svg" in page and "<script" not in page and "default-src 'none'" in page
    with open(found["files"]["csv-fits"], newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 4


def test_the_same_seed_gives_the_same_bytes(call: Call, tmp_path: Path) -> None:
    for name in ("a", "b"):
        arguments = ("study", "overoptimisation", "--synthetic", "--out", tmp_path / name)
        code, text, _ = call(*arguments)
        assert code == 0 and "Known curve" in text
    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_overoptimisation_of_a_tiny_policy(
    call: Call, tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held_out(_: Models) -> dict[str, Scorer]:
        return {"vowels": Vowels()}

    monkeypatch.setattr(running, "held_out", held_out)
    code, text, err = call(
        *("study", "overoptimisation", "--recipe", recipe, "--out", tmp_path / "out", "--json"),
        *("--prompts", 4, "--samples", 6, "--rl-steps", 4, "--max-tokens", 8),
    )
    assert code == 0, err
    found = json.loads(text)
    assert found["held_out"] == {"vowels": "vowels@1"} and found["samples"] == 24
    by_path = {(c["form"], c["scorer"]): c for c in found["curves"]}
    assert set(by_path) == {(f, s) for f in ("best-of-n", "rl") for s in ("proxy", "vowels")}
    proxy = [p["value"]["value"] for p in by_path["best-of-n", "proxy"]["points"]]
    assert proxy == sorted(proxy) and proxy[0] == 0.0 < proxy[-1]
    steps = [p["setting"] for p in by_path["rl", "vowels"]["points"]]
    assert steps == [0, 1, 2, 3, 4]
    assert by_path["rl", "vowels"]["points"][1]["kl"] == pytest.approx(0.0, abs=1e-4)


def test_miscalibration_of_a_tiny_policy(call: Call, tmp_path: Path, recipe: Path) -> None:
    code, text, err = call(
        *("study", "miscalibration", "--recipe", recipe, "--out", tmp_path / "out", "--json"),
        *("--bias", "length", "--dose", 1.5, "--rounds", 2, "--train-rounds", 1),
        *("--prompts", 4, "--samples", 8),
    )
    assert code == 0, err
    found = json.loads(text)
    plain = found["arms"][0]
    assert (plain["bias"], plain["dose"], plain["remedy"]) == ("length", 1.5, "none")
    # What was planted is what is measured in the first round.
    assert plain["critic"][0]["value"] == pytest.approx(1.5, abs=1e-6)
    assert {arm["remedy"] for arm in found["arms"]} >= {"ensemble of three", "calibrated on 25 %"}
    assert [t["round"] for t in found["trained"]] == [1]
    assert found["trained"][0]["policy"]["n"] == 4


def test_oversight_with_a_tiny_network(call: Call, tmp_path: Path, recipe: Path) -> None:
    code, text, err = call(
        *("study", "oversight", "--recipe", recipe, "--out", tmp_path / "out", "--json"),
        *("--limit", 200),
    )
    assert code == 0, err
    found = json.loads(text)
    assert found["pairs"] == 200 and found["source"] == "library"
    views = {cell["judge"]["view"] for cell in found["cells"]}
    assert "words" in views and len(views) >= 2
    for cell in found["cells"]:
        assert cell["gain"]["value"] == pytest.approx(
            cell["after"]["value"] - cell["before"]["value"]
        )


def test_what_the_user_got_wrong_is_named(call: Call, tmp_path: Path, recipe: Path) -> None:
    missing: Any = tmp_path / "nothing.jsonl"
    for arguments, says in (
        (("overoptimisation", "--recipe", "no-such"), "no such recipe"),
        (("miscalibration", "--bias", "taste"), "taste"),
        (("oversight", "--recipe", recipe, "--pairs", missing), "nothing.jsonl"),
    ):
        code, _, err = call("study", *arguments, "--out", tmp_path / "out")
        assert code == 2 and says in err and "Traceback" not in err, (arguments, err)


def test_library_pairs_are_not_always_the_same_way_round() -> None:
    labels = [pair.p_a for pair in running.library_pairs()]
    assert 0.4 < sum(labels) / len(labels) < 0.6
    with pytest.raises(DataError):
        running.human_pairs("no-such.jsonl")
