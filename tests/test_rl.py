"""The RL stage: pairs or rewards in, a policy, its curve and its samples out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from charter import rl
from charter.errors import InputError, TrainingError
from charter.models import hf
from charter.records import (
    Abstention,
    Checkpoint,
    Comparison,
    Label,
    Labelled,
    Message,
    Origin,
    Prompt,
    Rollout,
    Scored,
    Scorer,
    Verdict,
)
from charter.rl import RlConfig, RlDeps, Watched
from charter.store import RunFolder, StageFolder
from charter.training.rl_settings import BestOfNSettings, MonitorSettings, PPOSettings
from charter.training.settings import DPOSettings, OnlineSettings, TrainSettings

PROMPTS = [
    Prompt(f"p{n}", (Message("user", text),))
    for n, text in enumerate(["Tell me a story.", "Say something kind.", "What is a good plan?"])
]
QUICK = TrainSettings(learning_rate=1e-2, batch_size=4, lora_rank=4, epochs=2.0)
PAIRS = RlConfig(method="dpo", train=QUICK, dpo=DPOSettings(beta=0.5))
ONLINE = RlConfig(
    method="grpo",
    online=OnlineSettings(steps=2, prompts_per_step=2, group=2, max_new_tokens=6, lora_rank=2),
)


def labels(count: int = 12, *, abstained: Sequence[int] = ()) -> list[Labelled]:
    found = []
    for n in range(count):
        pair = Comparison(
            f"c{n}", PROMPTS[n % 3], "good apple", "bad apple", Origin("pairs", "test")
        )
        label: Label = Verdict(pair.id, 0.9, (), "judge@1")
        if n in abstained:
            label = Abstention(pair.id, "off_menu", "judge@1")
        found.append(Labelled(pair, label))
    return found


class Vowels:
    """Rewards the share of vowels; leaves every third answer out. Keeps what it was asked."""

    identity = "vowels@1"

    def __init__(self) -> None:
        self.asked: list[tuple[Prompt, str]] = []

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        found = []
        for exchange in exchanges:
            self.asked.append(exchange)
            share = sum(c in "aeiou" for c in exchange[1]) / max(1, len(exchange[1]))
            left_out = len(self.asked) % 3 == 0
            found.append(Scored(None, "third") if left_out else Scored(share))
        return found


def never() -> Scorer:
    raise AssertionError("a reward was loaded that nobody needs")


@pytest.fixture
def stage(tmp_path: Path) -> StageFolder:
    return RunFolder(tmp_path).stage("rl", "asked")


@pytest.fixture
def start(tiny_model_folder: Path) -> Checkpoint:
    return Checkpoint(str(tiny_model_folder))


def curve(stage: StageFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (stage.path / "curve.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["dpo", "ipo"])
def test_pairs_teach_the_policy_without_a_reward_model(
    start: Checkpoint, stage: StageFolder, method: Any
) -> None:
    config = RlConfig(method=method, train=QUICK, dpo=DPOSettings(beta=0.5))
    seen: list[tuple[str, int, int | None]] = []
    deps = RlDeps(start, stage, never, lambda *step: seen.append(step))
    manifest = rl.run(labels(), PROMPTS, config, deps=deps)
    notes = manifest.notes
    assert (notes["method"], notes["pairs"]) == (method, 12)
    assert notes["tokens"] > 0 and "reward" not in notes
    rows = curve(stage)
    assert seen == [("rl", n, len(rows)) for n in range(1, len(rows) + 1)]
    # The losses differ: the first one of DPO is log 2 on any label, IPO's is (1 / 2 beta)^2 = 1.
    assert rows[0]["loss"] == pytest.approx({"dpo": 0.6931, "ipo": 1.0}[method], abs=1e-3)
    assert rows[-1]["margin"] > rows[0]["margin"]
    trained = notes["checkpoint"]
    assert (trained.base, len(trained.adapters)) == (start.base, 1)
    assert not (stage.path / "records.jsonl").exists()


@pytest.mark.parametrize(("kind", "aim"), [("soft", 0.9), ("hard", 1.0)])
def test_pairs_aim_at_probabilities_or_at_the_preferred_answer(
    start: Checkpoint, stage: StageFolder, monkeypatch: pytest.MonkeyPatch, kind: Any, aim: float
) -> None:
    given: list[float] = []

    def train(start: Any, pairs: Any, *_: Any, **__: Any) -> Any:
        given.extend(pair.p_a for pair in pairs)
        raise TrainingError("enough")

    monkeypatch.setattr(rl, "train_dpo", train)
    config = msgspec.structs.replace(PAIRS, labels=kind)
    with pytest.raises(TrainingError, match="enough"):
        rl.run(labels(3), PROMPTS, config, deps=RlDeps(start, stage, never))
    assert given == [aim] * 3


def test_abstentions_never_become_pairs(start: Checkpoint, stage: StageFolder) -> None:
    mixed = labels(12, abstained=[0, 5, 6, 11])
    manifest = rl.run(mixed, PROMPTS, PAIRS, deps=RlDeps(start, stage, never))
    assert manifest.notes["pairs"] == 8


def test_nothing_but_abstentions_is_an_error(start: Checkpoint, stage: StageFolder) -> None:
    with pytest.raises(TrainingError, match="abstention"):
        rl.run(labels(3, abstained=range(3)), PROMPTS, PAIRS, deps=RlDeps(start, stage, never))
    assert stage.manifest is None


def test_rewards_of_own_samples_train_the_policy(start: Checkpoint, stage: StageFolder) -> None:
    scorer = Vowels()
    manifest = rl.run([], PROMPTS, ONLINE, deps=RlDeps(start, stage, lambda: scorer))
    notes = manifest.notes
    assert notes["method"] == "grpo"
    assert notes["reward"] == "vowels@1"
    assert (notes["rollouts"], notes["left_out"], manifest.kept) == (8, 2, 8)
    assert [row["step"] for row in curve(stage)] == [1, 2]
    rollouts = list(stage.log(Rollout))
    assert [r.step for r in rollouts] == [1] * 4 + [2] * 4
    assert [r.completion for r in rollouts] == [text for _, text in scorer.asked]
    assert sum(r.reward is None for r in rollouts) == 2
    by_id = {p.id: p.messages for p in PROMPTS}
    assert [by_id[r.prompt] for r in rollouts] == [p.messages for p, _ in scorer.asked]
    trained = notes["checkpoint"]
    assert trained.digest == hf.revision(trained.adapters[-1])
    assert {"curve.jsonl", "records.jsonl"} <= set(manifest.files)


def test_samples_of_a_run_that_was_cut_short_are_not_counted_twice(
    start: Checkpoint, stage: StageFolder
) -> None:
    stage.log(Rollout).append([Rollout("p0", "from a killed run", 1.0, {}, 1)])
    manifest = rl.run([], PROMPTS, ONLINE, deps=RlDeps(start, stage, Vowels))
    assert manifest.kept == 8
    assert not any(r.completion == "from a killed run" for r in stage.log(Rollout))


@pytest.mark.parametrize("config", [PAIRS, ONLINE], ids=["dpo", "grpo"])
def test_a_finished_stage_does_not_train_again(
    start: Checkpoint, stage: StageFolder, config: RlConfig
) -> None:
    first = rl.run(labels(4), PROMPTS, config, deps=RlDeps(start, stage, Vowels))
    again = rl.run([], [], config, deps=RlDeps(Checkpoint("/nowhere"), stage, never))
    assert again.files == first.files
    assert again.notes["checkpoint"]["digest"] == first.notes["checkpoint"].digest


class Fixed:
    """Scores every answer alike, but for those to one prompt, which it knows by its kind."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.kinds: set[str] = set()

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        self.kinds |= {prompt.kind for prompt, _ in exchanges}
        return [Scored(float(len(text) % 3)) for _, text in exchanges]


PPO = RlConfig(
    method="ppo",
    ppo=PPOSettings(steps=2, prompts_per_step=2, group=2, max_new_tokens=6, lora_rank=2),
    monitor=MonitorSettings(window=1, stop=False),
)
BEST = RlConfig(method="best-of-n", best_of_n=BestOfNSettings(n=3, max_new_tokens=6), train=QUICK)
REDTEAM = [Prompt(p.id, p.messages, "redteam") for p in PROMPTS]


def lines(stage: StageFolder, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (stage.path / name).read_text().splitlines()]


@pytest.mark.parametrize("method", ["ppo", "reinforce"])
def test_ppo_is_watched_by_a_scorer_that_pays_nothing(
    start: Checkpoint, stage: StageFolder, method: Any
) -> None:
    gold = Fixed("gold@1")
    deps = RlDeps(
        start,
        stage,
        Vowels,
        held_out=lambda: Watched(gold, frozenset({"inner@2"})),
        refusal=lambda text: "sorry" in text,
        evaluators=frozenset({"evaluator@3"}),
        labellers=frozenset({"inner@2"}),
    )
    config = msgspec.structs.replace(PPO, method=method)
    notes = rl.run([], REDTEAM, config, deps=deps).notes
    assert (notes["method"], notes["rollouts"], notes["reward"]) == (method, 8, "vowels@1")
    monitor = notes["monitor"]
    assert (monitor["held_out"], monitor["evaluates"]) == ("gold@1", False)
    assert monitor["labelled"] is True and monitor["kept"] == "last"
    rows = lines(stage, "monitor.jsonl")
    assert [row["step"] for row in rows] == [1, 2]
    assert all(row["held_out"]["n"] == 4 and row["refusal"]["value"] == 0 for row in rows)
    assert gold.kinds == {"redteam"}
    rollouts = list(stage.log(Rollout))
    assert all(set(r.components) == {"reward", "held_out"} for r in rollouts)


@pytest.mark.parametrize(
    ("identity", "evaluators", "problem"),
    [("vowels@1", set(), "also rewards"), ("gold@1", {"gold@1"}, "also evaluates")],
)
def test_who_watches_neither_rewards_nor_evaluates(
    start: Checkpoint, stage: StageFolder, identity: str, evaluators: set[str], problem: str
) -> None:
    deps = RlDeps(
        start,
        stage,
        Vowels,
        held_out=lambda: Watched(Fixed(identity)),
        evaluators=frozenset(evaluators),
    )
    with pytest.raises(InputError, match=problem) as caught:
        rl.run([], PROMPTS, PPO, deps=deps)
    assert caught.value.field == "rl.monitor.held_out"


def test_best_of_n_imitates_the_winners(start: Checkpoint, stage: StageFolder) -> None:
    notes = rl.run([], PROMPTS, BEST, deps=RlDeps(start, stage, lambda: Fixed("any@1"))).notes
    assert notes["rollouts"] == 9 and len(notes["checkpoint"].adapters) == 1
    chosen = [r for r in stage.log(Rollout) if r.components["chosen"]]
    assert {r.prompt for r in chosen} == {p.id for p in PROMPTS}
    assert notes["monitor"]["held_out"] is None


def test_best_of_n_when_answering_trains_nothing(start: Checkpoint, stage: StageFolder) -> None:
    best = msgspec.structs.replace(BEST.best_of_n, when="answering")
    config = msgspec.structs.replace(BEST, best_of_n=best)
    notes = rl.run([], PROMPTS, config, deps=RlDeps(start, stage, Vowels)).notes
    assert (notes["checkpoint"], notes["reward"]) == (start, "vowels@1")
    assert not (stage.path / "checkpoint").exists()


def test_a_price_on_words_is_paid_and_written_down(start: Checkpoint, stage: StageFolder) -> None:
    config = msgspec.structs.replace(ONLINE, length_weight=-0.5)
    rl.run([], PROMPTS, config, deps=RlDeps(start, stage, lambda: Fixed("any@1")))
    for rollout in stage.log(Rollout):
        parts = rollout.components
        assert parts["words"] == len(rollout.completion.split())
        assert rollout.reward == pytest.approx(parts["reward"] - 0.5 * parts["words"])


def test_the_seed_of_a_run_moves_every_optimiser() -> None:
    found = PPO.seeded(7)
    assert {found.train.seed, found.online.seed, found.ppo.seed} == {7}
