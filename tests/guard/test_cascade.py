from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from charter.cli.guard import group
from charter.errors import DataError
from charter.guard.cascade import CascadeClassifier, cost_curve, logit
from charter.guard.inprocess import Exchange, Guard
from charter.guard.token_classifier import probability
from charter.records import Message

HELLO = (Message("user", "hello"),)


class Scripted:
    """Scores by the length of the text: the n-th character from the script."""

    identity = "scripted"

    def __init__(self, prompt: float, script: Sequence[float], clauses: tuple[str, ...]) -> None:
        self.prompt, self.script, self.clauses = prompt, script, clauses
        self.started = 0

    def start(self, conversation: Sequence[Message]) -> ScriptedStream:
        self.started += 1
        return ScriptedStream(self)


class ScriptedStream:
    def __init__(self, owner: Scripted) -> None:
        self.owner, self.clauses, self.said = owner, owner.clauses, ""
        self.conversation_score = owner.prompt

    def feed(self, text: str) -> float:
        self.said += text
        return self.owner.script[len(self.said) - 1]


def average(a: float, b: float) -> float:
    return probability(0.55 * logit(a) + 0.45 * logit(b))


def test_what_is_not_flagged_never_reaches_the_second() -> None:
    second = Scripted(0.9, [0.9] * 3, ("b",))
    cascade = CascadeClassifier(Scripted(0.05, [0.05, 0.09], ("a",)), second, 0.1)
    stream = cascade.start(HELLO)
    assert [stream.conversation_score, stream.feed("x"), stream.feed("y")] == [0.05, 0.05, 0.09]
    assert (second.started, cascade.escalated, cascade.asked) == (0, 0, 1)
    assert stream.clauses == ("a",)


def test_a_flag_averages_logits_and_sticks() -> None:
    first = Scripted(0.05, [0.05, 0.6, 0.01], ("a",))
    second = Scripted(0.2, [0.3, 0.8, 0.02], ("b",))
    cascade = CascadeClassifier(first, second, 0.1)
    stream = cascade.start(HELLO)
    stream.feed("x")
    assert stream.feed("y") == pytest.approx(average(0.6, 0.8))  # the second reads all of it
    assert stream.feed("z") == pytest.approx(average(0.01, 0.02))
    assert (second.started, stream.clauses) == (1, ("b",))


def test_a_flagged_prompt_is_looked_at_twice() -> None:
    cascade = CascadeClassifier(Scripted(0.5, [], ()), Scripted(0.9, [], ()), 0.1)
    assert cascade.start(HELLO).conversation_score == pytest.approx(average(0.5, 0.9))


def test_the_cost_curve_starts_at_everything_and_ends_at_nothing() -> None:
    first = np.array([0.9, 0.4, 0.6, 0.05])
    second = np.array([0.9, 0.9, 0.1, 0.05])
    labels = np.array([1, 1, 0, 0])
    points = cost_curve(first, second, labels, threshold=0.5, points=(0.0, 0.3, 0.95))
    assert [p.escalated for p in points] == [1.0, 0.5, 0.0]
    assert [p.recall for p in points] == [1.0, 1.0, 0.5]
    assert [p.false_alarms for p in points] == [0.0, 0.0, 0.5]


def words(folder: Path, word: str) -> None:
    folder.mkdir()
    (folder / "guard.json").write_text('{"kind": "words"}')
    (folder / "words.json").write_text(json.dumps({"words": {word: f"no-{word}"}}))


def test_a_cascade_is_loaded_with_its_members(tmp_path: Path) -> None:
    words(tmp_path / "one", "bomb")
    words(tmp_path / "two", "bomb")
    said = {"kind": "cascade", "first": "one", "second": "two", "escalate": 0.5}
    (tmp_path / "guard.json").write_text(json.dumps(said))
    guard = Guard.load(str(tmp_path))
    assert guard.check(Exchange(HELLO, "bread")).action == "allow"
    assert guard.check(Exchange(HELLO, "a bomb")).clauses == ("no-bomb",)
    assert guard.classifier.identity.startswith("cascade@0.5(words@")


@pytest.mark.parametrize("change", [{"escalate": 2}, {"first": "."}, {"first": None}])
def test_a_cascade_that_cannot_work_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    words(tmp_path / "one", "bomb")
    said = {"kind": "cascade", "first": "one", "second": "one", **change}
    (tmp_path / "guard.json").write_text(json.dumps(said))
    with pytest.raises(DataError, match=r"guard\.json"):
        Guard.load(str(tmp_path))


def test_the_command_joins_two_guards(tmp_path: Path) -> None:
    words(tmp_path / "one", "bread")
    words(tmp_path / "two", "bomb")
    out = tmp_path / "both"
    asked = ["cascade", "--first", str(tmp_path / "one"), "--second", str(tmp_path / "two")]
    done = CliRunner().invoke(group, [*asked, "--out", str(out), "--weight", "0", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["guard"] == str(out)
    for name in ("one", "two"):  # the new folder needs neither of them
        (tmp_path / name).rename(tmp_path / f"{name}-moved")
    guard = Guard.load(str(out.rename(tmp_path / "elsewhere")))
    # Only a text that the first flags is looked at by the second, which then decides.
    said = {"a bomb": "allow", "bread": "allow", "bread and a bomb": "block"}
    found = {text: guard.check(Exchange((Message("user", text),))).action for text in said}
    assert found == said


def test_a_cascade_does_not_replace_a_folder(tmp_path: Path) -> None:
    words(tmp_path / "one", "bread")
    one = str(tmp_path / "one")
    asked = ["cascade", "--first", one, "--second", one, "--out", one]
    assert "exists" in str(CliRunner().invoke(group, asked).exception)
    missing = [*asked[:4], str(tmp_path / "none"), "--out", str(tmp_path / "new")]
    assert "holds no guard" in str(CliRunner().invoke(group, missing).exception)
    assert not (tmp_path / "new").exists()
