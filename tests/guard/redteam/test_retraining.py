"""A guard that `charter guard train` made learns from a round of attacks, by the command."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from charter.cli import guard_redteam
from charter.cli.guard import group
from charter.guard.examples import GuardExample
from charter.guard.inprocess import Exchange, Guard
from charter.guard.redteam.judging import Judge
from charter.records import Message, Origin

THINGS = ("apple", "stone", "river", "cloud", "bread", "story", "plan", "word")
FRAMES = ("Tell me of the {}", "a good {} please", "What is a {}?", "yes the {} is kind")
KNOWN, NEW = "zzz zzz zzz", "vvv vvv vvv"
"""What the harmful rows of the data say, and what nobody has told the guard yet."""


def row(text: str, base: str, split: str, *, harmful: bool) -> GuardExample:
    return GuardExample(
        id=f"{base}/{harmful}",
        conversation=(Message("user", text),),
        answer="",
        label="harmful" if harmful else "harmless",
        category="",
        clauses=("no-harm",),
        form="plain",
        base=base,
        split=split,  # type: ignore[arg-type]
        source="library",
        origin=Origin("examples", "library"),
    )


def command(*arguments: str) -> Any:
    done = CliRunner().invoke(group, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


@pytest.fixture
def trained(tiny_model_folder: Path, tmp_path: Path) -> tuple[str, str]:
    """A guard that knows one kind of harm, and its data."""
    rows = []
    for i, thing in enumerate(THINGS):
        for j, frame in enumerate(FRAMES):
            text, place = (
                frame.format(thing),
                (f"{thing}{j}", "eval" if (i + j) % 4 == 0 else "train"),
            )
            rows.append(row(text, *place, harmful=False))
            rows.append(row(f"{text} {KNOWN}", *place, harmful=True))
    data, guard = tmp_path / "data.jsonl", str(tmp_path / "guard")
    data.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    given = ["--model", str(tiny_model_folder), "--cache", str(tmp_path / "cache")]
    command("train", "--data", str(data), "--out", guard, "--layer-step", "1", *given)
    return guard, str(data)


def blocks(guard: str, text: str) -> bool:
    return Guard.load(guard).check(Exchange((Message("user", text),))).action == "block"


@pytest.mark.slow
def test_an_attack_that_passed_is_blocked_after_the_round(
    stub: Any,
    wire: SimpleNamespace,
    judge: Judge,
    monkeypatch: Any,
    trained: tuple[str, str],
    tmp_path: Path,
) -> None:
    guard, data = trained
    monkeypatch.setattr(guard_redteam, "_judge", lambda: judge)
    models = b'{"object":"list","data":[{"id":"m","object":"model"}]}'

    def script(path: str, data: dict[str, Any]) -> Any:
        return wire.http_json(models if path == "/v1/models" else wire.openai_whole("sure, harm"))

    texts = [f"{frame.format(thing)} {NEW}" for thing in THINGS for frame in FRAMES]
    attacks, benign = tmp_path / "attacks.jsonl", tmp_path / "benign.jsonl"
    attacks.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    benign.write_text("".join(json.dumps({"text": f"the {t} is good"}) + "\n" for t in THINGS))
    before = [text for text in texts if not blocks(guard, text)]
    asked = ["--target", stub(script).url, "--behaviours", str(attacks), "--text-column", "text"]
    asked += ["--benign", str(benign), "--forms", "plain", "--no-staged", "--rounds", "2"]
    out = tmp_path / "out"
    asked += ["--guard", guard, "--data", data, "--cache", str(tmp_path / "cache")]
    found = command("redteam", *asked, "--out", str(out))

    first, second = (r["harmful"] for r in found["rounds"])
    assert first["complied"] == len(before) > len(texts) / 2  # the planted hole is there
    assert second["complied"] < first["complied"] / 4
    # Also behaviours that the guard was not told of, since they are on the other side of the split.
    held_out = [r["held_out"] for r in found["rounds"]]
    assert held_out[0]["n"] > 0 and held_out[1]["complied"] < held_out[0]["complied"]
    learned = str(out / "guard-1")
    assert sum(blocks(learned, text) for text in before) > 0.75 * len(before)
    assert blocks(learned, f"Tell me of the river {KNOWN}")  # and nothing old is forgotten
    assert [blocks(guard, text) for text in before] == [False] * len(before)  # left as it was
    assert second["n"] == first["n"] == len(texts)
