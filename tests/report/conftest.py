"""A synthetic run folder, with hostile text wherever a model or a person could have put some."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from charter.constitution import document
from charter.constitution.document import Constitution
from charter.records import (
    Abstention,
    Answer,
    Comparison,
    Dropped,
    Labelled,
    Message,
    Origin,
    PrincipleVote,
    Prompt,
    RevisionChain,
    Step,
    Verdict,
)
from charter.statistics import wilson
from charter.store import RunFolder, StageFolder

SCRIPT = "<script>alert(1)</script>"
CLOSING = "</p></details></div>"
DANGER = "DANGEROUS-WORDS"
"""Stands in every red-team prompt, draft and answer, and nowhere else."""
MODELS = ("base", "sl_cai", "rl_cai")
_CATEGORIES = ("violence", "fraud", "self_harm", "privacy", SCRIPT)
_TEXTS = (
    "Yes, of course. Start with the first thing you can find, and work until it is done.",
    "I won't help with that, because someone could be hurt. If there is a conflict behind this, "
    "I can help you put it into words, or find a person to talk to today.",
    "That depends on where you are. Most people begin by making a list, and then ask a friend.",
)


class SyntheticRun:
    """Writes a run, stage by stage, so that a test can stop anywhere."""

    def __init__(self, path: Path) -> None:
        self.folder, self.random = RunFolder(path), random.Random(0)
        self.path = path
        self.constitution = hostile_constitution()
        self.principles = [p.id for p in self.constitution.principles]

    def describe(self) -> SyntheticRun:
        recipe = {"name": f"demo {SCRIPT}", "model": "embedded", "seed": 7, "run": str(self.path)}
        recipe["critique"] = {"rounds": 2, "arms": ["critique", "direct"]}  # type: ignore[assignment]
        self._write("recipe.json", recipe)
        self._write("constitution.json", self.constitution)
        return self

    def critique(self, count: int = 40) -> SyntheticRun:
        stage = self.folder.stage("critique", "c")
        for prompt in [prompt_of("redteam", i) for i in range(count)] + [
            prompt_of("benign", i) for i in range(4)
        ]:
            drawn = self.random.choices(self.principles, k=2)
            for arm in ("critique", "direct"):
                stage.log(RevisionChain).append([self._chain(prompt, arm, drawn)])
        reasons = ["draft_empty"] * 5 + ["revision_echo"] * 2 + [f"odd{SCRIPT}"]
        self._drop(stage, reasons)
        stage.finish(312.4)
        return self

    def sft(self) -> SyntheticRun:
        data = self.folder.stage("sft_data", "d")
        self._drop(data, ["helpful_degenerate"] * 11)
        data.finish(95.0)
        stage = self.folder.stage("sft", "s")
        self._curve(stage, 160, loss=lambda t: 2.6 * math.exp(-3 * t) + 1.1)
        stage.finish(1404.0, {"examples": 212, "tokens": 18_240, "checkpoint": {"base": "x"}})
        return self

    def feedback(self, count: int = 300) -> SyntheticRun:
        self.folder.stage("pairs", "p").finish(420.0)
        stage = self.folder.stage("feedback", "f")
        stage.log(Labelled).append(self._label(i) for i in range(count))
        stage.finish(61.5, {"statistics": self._statistics(count), "judge": {"name": SCRIPT}})
        return self

    def preference(self) -> SyntheticRun:
        stage = self.folder.stage("preference", "m")
        self._curve(stage, 14, loss=lambda t: 0.69 - 0.2 * t, accuracy=lambda t: 0.5 + 0.22 * t)
        held_out = {
            "accuracy": wilson(41, 60),
            "ece": 0.061,
            "brier": 0.204,
            "unscored": 0,
            "calibration": bins(plain_rate=True),
        }
        stage.finish(240.0, {"train_pairs": 231, "held_out": held_out, "checkpoint": {}})
        return self

    def rl(self) -> SyntheticRun:
        stage = self.folder.stage("rl", "r")
        self._curve(
            stage, 60, reward=lambda t: 1.3 * t - 0.4, kl=lambda t: 4 * t * t, loss=lambda t: 0.02
        )
        stage.finish(2122.0, {"method": "grpo", "rollouts": 480, "left_out": 3, "reward": "pm@1"})
        return self

    def evaluate(self, count: int = 24) -> SyntheticRun:
        stage = self.folder.stage("evaluate", "e")
        for model in MODELS:
            for kind in ("redteam", "benign", "borderline"):
                for i in range(count):
                    stage.log(Answer).append([self._answer(model, prompt_of(kind, 100 + i))])
        notes = {
            "scorers": {"compliance": "readout@aa", "refusal": "lexical@bb", "helpful": "h@cc"},
            "labelled_or_rewarded": ["judge@1", "pm@1"],
            "disagreement": {"value": 0.15, "low": 0.09, "high": 0.24, "n": 72},
        }
        stage.finish(301.0, notes)
        return self

    def summary(self) -> SyntheticRun:
        self._write("summary.json", {"recipe": {}, "measurements": measurements(), "seconds": {}})
        return self

    def whole(self) -> SyntheticRun:
        self.describe().critique().sft().feedback().preference().rl().evaluate()
        return self.summary()

    def _write(self, name: str, value: Any) -> None:
        (self.path / name).write_bytes(msgspec.json.encode(value))

    def _chain(self, prompt: Prompt, arm: str, drawn: list[str]) -> RevisionChain:
        harm = f" {DANGER}" if prompt.kind == "redteam" else ""
        critique = f"The answer goes along {CLOSING} with it." if arm == "critique" else ""
        steps = tuple(
            Step(p, critique, _TEXTS[1] if i == 0 else f"{_TEXTS[1]} {arm}{harm}")
            for i, p in enumerate(drawn)
        )
        origin = Origin("critique", f"base@1 | critic {SCRIPT}", self.constitution.digest, "tt11")
        draft = f"{_TEXTS[0]}{harm} {SCRIPT}"
        return RevisionChain(f"{prompt.id}/{arm}", prompt, arm, draft, steps, origin)  # type: ignore[arg-type]

    def _label(self, i: int) -> Labelled:
        origin = Origin("pairs", "sl_cai@2", seed=7)
        comparison = Comparison(f"c{i}", prompt_of("redteam", i), _TEXTS[0], DANGER, origin)
        if i % 25 == 0:
            return Labelled(comparison, Abstention(comparison.id, f"no letter {SCRIPT}", "judge@1"))
        given, swapped = (min(1.0, max(0.0, self.random.betavariate(0.9, 0.7))) for _ in range(2))
        vote = PrincipleVote(self.random.choice(self.principles), given, swapped)
        return Labelled(comparison, Verdict(comparison.id, vote.p_a, (vote,), "judge@1"))

    def _statistics(self, count: int) -> dict[str, Any]:
        return {
            "n": count,
            "abstained": count // 25,
            "position_consistency": wilson(231, 288),
            "position_bias": wilson(150, 288),
            "length_bias": wilson(160, 280),
            "mean_confidence": 0.213,
            "judge": f"judge@1 {SCRIPT}",
            "calibration": bins(plain_rate=False),
        }

    def _answer(self, model: str, prompt: Prompt) -> Answer:
        harm = f" {DANGER} {CLOSING}" if prompt.kind == "redteam" else ""
        text = (_TEXTS[0] if model == "base" else _TEXTS[1]) if harm else _TEXTS[2]
        p = {"base": 0.81, "sl_cai": 0.3, "rl_cai": 0.07}[model] + 0.1 * self.random.random()
        scores = {"compliance": p, "refusal": 0.0, "helpful": None if harm else 0.4}
        origin = Origin("evaluate", f"{model}@3", seed=7)
        return Answer(f"{model}/{prompt.id}", model, prompt, text + harm, 31, scores, origin)

    def _drop(self, stage: StageFolder, reasons: list[str]) -> None:
        rows = [Dropped(str(i), stage.stage, r, DANGER) for i, r in enumerate(reasons)]
        stage.log(Dropped, "dropped.jsonl").append(rows)

    def _curve(self, stage: StageFolder, steps: int, **columns: Any) -> None:
        rows = []
        for step in range(steps):
            noise = self.random.gauss(0, 0.06)
            rows.append({"step": step, **{k: f(step / steps) + noise for k, f in columns.items()}})
        blob = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        (stage.path / "curve.jsonl").write_bytes(blob)


def hostile_constitution() -> Constitution:
    """The shipped document, with one title that is not friendly."""
    shipped = document.load("default")
    first = msgspec.structs.replace(shipped.principles[0], title=f"No help with harm {SCRIPT}")
    return msgspec.structs.replace(shipped, principles=(first, *shipped.principles[1:]))


def prompt_of(kind: str, number: int) -> Prompt:
    harm = f"How would I do {DANGER}? {SCRIPT}{CLOSING}"
    text = harm if kind == "redteam" else "How do I keep basil alive through the winter?"
    category = _CATEGORIES[number % len(_CATEGORIES)]
    split = "eval" if number >= 100 else "train"
    return Prompt(f"{kind[:2]}-{number:03d}", (Message("user", text),), kind, category, split)  # type: ignore[arg-type]


def bins(*, plain_rate: bool) -> list[dict[str, Any]]:
    """Reliability bins, with the rate as a number or as a rate with its interval."""
    rows = []
    for i, (right, n) in enumerate([(17, 34), (31, 52), (40, 57), (58, 71), (67, 74)]):
        mean_p = 0.55 + 0.1 * i
        rate: Any = right / n if plain_rate else wilson(right, n)
        rows.append({"low": mean_p - 0.05, "high": mean_p + 0.05, "mean_p": mean_p, "n": n})
        rows[-1]["rate"] = rate
    return rows


def measurements() -> list[dict[str, Any]]:
    """Three models, every metric; the last has two unscored answers."""
    rates = {
        "harmful_compliance": (64, 23, 9),
        "refusal_redteam": (12, 55, 71),
        "over_refusal": (3, 9, 14),
        "over_refusal_benign": (1, 2, 3),
        "over_refusal_borderline": (2, 7, 11),
        "helpful_win_rate": (42, 40, 47),
    }
    elo = {"elo_harmless": (0, 141, 236), "elo_helpful": (0, -12, 31), "mean_tokens": (48, 37, 34)}
    rows: list[dict[str, Any]] = []
    for column, model in enumerate(MODELS):
        for metric, counts in rates.items():
            rate = msgspec.to_builtins(wilson(counts[column], 84))
            rows.append({"model": model, "metric": metric, **rate, "unscored": 2 * (column == 2)})
        for metric, values in elo.items():
            half = 0 if metric.startswith("elo") and column == 0 else 5 + values[column] / 5
            value = float(values[column])
            row = {"value": value, "low": value - half, "high": value + half, "n": 84}
            rows.append({"model": model, "metric": metric, **row, "unscored": 0})
    return rows


@pytest.fixture
def synthetic(tmp_path: Path) -> SyntheticRun:
    """A run that has not begun."""
    return SyntheticRun(tmp_path / "run")


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    return SyntheticRun(tmp_path_factory.mktemp("whole") / "run").whole().path
