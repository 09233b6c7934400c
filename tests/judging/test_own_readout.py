"""From pair files to a folder that judges, by way of the command, on a tiny network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from charter.cli import main as cli
from charter.judging.own_readout import CARD_PAGE

NOUNS = ["apple", "stone", "river", "cloud", "bread", "story", "plan"]
RECIPE = """
format: charter/recipe/1
name: small
acceptance: {paraphrases: 1, injections: 1, stress_pairs: 4, min_canaries: 0, max_ece: 1,
  max_injection_flips: 1, min_paraphrase_stability: 0}
"""


def rows(count: int, *, start: int = 0) -> list[dict[str, Any]]:
    """The better answer is polite; which one is A, and which is longer, changes."""
    found = []
    for i in range(start, start + count):
        noun = NOUNS[i % len(NOUNS)]
        polite, rude = f"please good yes {noun}", f"bad no bad {noun}"
        polite, rude = (
            (polite + " and the river", rude) if i % 3 else (polite, rude + " of the a is")
        )
        a, b = (polite, rude) if i % 2 else (rude, polite)
        prompt = f"question {i} of the {noun}"
        found.append({"prompt": prompt, "a": a, "b": b, "label": "a" if i % 2 else "b"})
    return found


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    write(folder / "train.jsonl", rows(160))
    write(folder / "test.jsonl", rows(40, start=500))
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


def charter(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["charter", *map(str, arguments)])
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    found = capsys.readouterr()
    return code, found.out, found.err


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *arguments: charter(capsys, monkeypatch, *arguments)


def test_what_is_trained_can_judge(
    call: Any, files: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    asked = ("--pairs", files / "train.jsonl", "--model", tiny_model_folder, "--strength", 0.01)
    code, text, _ = call("judge", "train", *asked, "--out", out, "--json")
    assert code == 0
    trained = json.loads(text)
    figures = trained["axes"]["preferred"]
    assert figures["agreement"]["low"] > 0.5
    assert figures["agreement"]["n"] + figures["train_pairs"] == 160
    assert figures["agreement_bag_of_words"] == 1.0
    assert sorted(p.name for p in out.iterdir()) == [
        CARD_PAGE, "readout.json", "readout.safetensors"
    ]  # fmt: skip
    page = (out / CARD_PAGE).read_text()
    assert "train.jsonl (160 pairs)" in page and "same under every principle: preferred" in page

    tested = ("--judge", out, "--pairs", files / "test.jsonl", "--recipe", files / "recipe.yaml")
    code, text, _ = call("judge", "test", *tested, "--json")
    found = json.loads(text)
    assert code == 0 and found["passed"], found["failures"]
    assert found["agreement"]["n"] == 40 and found["agreement"]["low"] > 0.5
    assert set(found["agreement"]) == {"value", "low", "high", "n"}
    assert (found["position_consistency"], found["abstained"]) == (1.0, 0)
    assert trained["identity"] in found["judge"]
    # For people, the same; and a failed test is exit code 1.
    code, text, _ = call("judge", "test", *tested)
    assert code == 0 and "PASSED" in text and "agreement" in text
    code, text, _ = call("judge", "test", *tested, "--limit", 3)
    assert code == 1 and "NOT PASSED" in text and "failed agreement" in text


def test_the_same_pairs_give_the_same_bytes(
    call: Any, files: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    axis = f"harmless={files / 'train.jsonl'}"
    for out in ("one", "two"):
        asked = ("--principle-axis", axis, "--model", tiny_model_folder, "--limit", 120)
        code, text, _ = call("judge", "train", *asked, "--out", tmp_path / out)
        assert code == 0 and "Readout:" in text
    for name in ("readout.json", "readout.safetensors", CARD_PAGE):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    card = json.loads((tmp_path / "one" / "readout.json").read_text())
    assert card["axes"] == ["harmless"]
    assert card["about"]["figures"]["questions"]["n"] == 56


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "--pairs FILE"),
        (("--pairs", "absent.jsonl"), "no such file"),
        (("--principle-axis", "harmless"), "NAME=FILE"),
        (("--principle-axis", "odd=TRAIN"), "no questions about axis 'odd'"),
        (("--pairs", "TRAIN", "--strength", "0"), "above 0"),
        (("--pairs", "BROKEN"), "broken.jsonl:2"),
    ],
)
def test_bad_input_is_named_before_anything_is_loaded(
    call: Any, files: Path, tmp_path: Path, arguments: tuple[str, ...], word: str
) -> None:
    broken = write(tmp_path / "broken.jsonl", [*rows(1), {"prompt": "x"}])
    train = str(files / "train.jsonl")
    told = [a.replace("TRAIN", train).replace("BROKEN", str(broken)) for a in arguments]
    code, _, error = call("judge", "train", *told, "--model", "nowhere", "--out", tmp_path / "x")
    assert code == 2 and word in error
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--judge", "nobody"), "no judge 'nobody'"),
        (("--judge", "EMPTY"), "no readout in it"),
        (("--recipe", "nowhere"), "no such recipe"),
    ],
)
def test_a_judge_that_is_none(
    call: Any, files: Path, tmp_path: Path, arguments: tuple[str, ...], word: str
) -> None:
    told = [str(tmp_path) if a == "EMPTY" else a for a in arguments]
    code, _, error = call("judge", "test", *told, "--pairs", files / "test.jsonl")
    assert code == 2 and word in error


def test_a_broken_pair_file_is_named_with_its_line(call: Any, tmp_path: Path) -> None:
    broken = write(tmp_path / "broken.jsonl", [*rows(2), {"prompt": "x", "a": "1", "b": "2"}])
    code, _, error = call("judge", "test", "--pairs", broken)
    assert code == 2 and "broken.jsonl:3: field 'label'" in error
    assert len(error.splitlines()) == 1


def test_too_few_pairs_are_a_failure_of_the_work(
    call: Any, tiny_model_folder: Path, tmp_path: Path
) -> None:
    few = write(tmp_path / "few.jsonl", rows(8))
    code, _, error = call(
        "judge", "train", "--pairs", few, "--model", tiny_model_folder, "--out", tmp_path / "x"
    )
    assert code == 1 and "at least 10" in error
