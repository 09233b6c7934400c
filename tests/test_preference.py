"""The preference model: what it is trained on, what is held out, and what abstentions are worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from charter import preference
from charter.errors import ModelError, TrainingError
from charter.preference import PreferenceConfig, PreferenceDeps, evaluate_scorer
from charter.records import (
    Abstention,
    Checkpoint,
    Comparison,
    Label,
    Labelled,
    Message,
    Origin,
    Prompt,
    Scored,
    Verdict,
)
from charter.store import RunFolder, StageFolder
from charter.training.preference import train_preference
from charter.training.settings import TrainSettings

ASKS = ["Tell me a story.", "Say something kind.", "What is a good plan?", "How do I bake bread?"]
THINGS = ["apple", "stone", "river", "cloud"]
PROMPTS = [
    Prompt(f"p{i}{j}", (Message("user", f"{ask} {thing}"),))
    for i, ask in enumerate(ASKS)
    for j, thing in enumerate(THINGS)
]
CONFIG = PreferenceConfig(
    held_out=0.25, train=TrainSettings(learning_rate=1e-2, batch_size=8, lora_rank=4, epochs=4.0)
)


def labelled(prompt: Prompt, thing: str, p_kind: float | None, kind_first: bool) -> Labelled:
    """A pair in which "please" is better with `p_kind`; None is an abstention."""
    texts = (f"please {thing}", f"sorry {thing}")
    a, b = texts if kind_first else texts[::-1]
    pair = Comparison(f"{prompt.id}/{thing}", prompt, a, b, Origin("pairs", "test"))
    label: Label = Abstention(pair.id, "off_menu", "judge@1")
    if p_kind is not None:
        label = Verdict(pair.id, p_kind if kind_first else 1 - p_kind, (), "judge@1")
    return Labelled(pair, label)


def planted(p_kind: float | None = 0.95) -> list[Labelled]:
    return [
        labelled(prompt, thing, p_kind, kind_first=(i + j) % 2 == 0)
        for i, prompt in enumerate(PROMPTS)
        for j, thing in enumerate(THINGS)
    ]


@pytest.fixture
def stage(tmp_path: Path) -> StageFolder:
    return RunFolder(tmp_path).stage("preference", "asked")


@pytest.fixture
def deps(tiny_model_folder: Path, stage: StageFolder) -> PreferenceDeps:
    return PreferenceDeps(Checkpoint(str(tiny_model_folder)), stage)


class Spy:
    """Notes which pairs were trained on and which were evaluated on, and lets both go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trained: list[tuple[str, str, str, float]] = []
        self.held_out: list[str] = []
        evaluate = preference.evaluate_scorer

        def spy_train(start: Any, pairs: Any, *rest: Any, **options: Any) -> Any:
            self.trained = [(p.messages[-1].content, p.a, p.b, p.p_a) for p in pairs]
            return train_preference(start, pairs, *rest, **options)

        def spy_evaluate(scorer: Any, pairs: Any) -> Any:
            self.held_out = [c.prompt.messages[-1].content for c, _ in pairs]
            return evaluate(scorer, pairs)

        monkeypatch.setattr(preference, "train_preference", spy_train)
        monkeypatch.setattr(preference, "evaluate_scorer", spy_evaluate)


def test_planted_labels_are_learnt_and_hold_on_prompts_never_seen(
    deps: PreferenceDeps, stage: StageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch)
    manifest = preference.run(planted(), CONFIG, deps=deps)
    held_out = manifest.notes["held_out"]
    assert held_out["accuracy"].value > 0.8
    assert held_out["brier"] < 0.2
    assert (held_out["accuracy"].n, held_out["unscored"]) == (16, 0)
    assert manifest.notes["train_pairs"] == 48
    trained_on = {text for text, *_ in spy.trained}
    assert (len(trained_on), len(set(spy.held_out))) == (12, 4)
    assert not trained_on & set(spy.held_out)
    assert {"curve.jsonl", "checkpoint/reward.json"} <= set(manifest.files)
    scorer = preference.reward_model(stage.path)
    kind, unkind = scorer.score([(PROMPTS[0], "please no"), (PROMPTS[0], "sorry no")])
    assert kind.value is not None and unkind.value is not None
    assert kind.value > unkind.value


FEW = PreferenceConfig(held_out=0.25, train=TrainSettings(batch_size=4, lora_rank=2, epochs=0.25))


def test_abstentions_never_become_pairs(
    deps: PreferenceDeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch)
    mixed = [
        labelled(prompt, "apple", None if n % 2 else 0.8, kind_first=True)
        for n, prompt in enumerate(PROMPTS)
    ]
    manifest = preference.run(mixed, FEW, deps=deps)
    asked = {prompt.messages[-1].content for prompt in PROMPTS[::2]}
    assert {text for text, *_ in spy.trained} | set(spy.held_out) == asked
    assert manifest.notes["train_pairs"] == len(spy.trained) == 6
    assert {p for *_, p in spy.trained} == {0.8}


def test_the_split_follows_the_seed(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch)
    splits = []
    for number, seed in enumerate((0, 0, 1)):
        folder = RunFolder(tmp_path / str(number)).stage("preference", "asked")
        deps = PreferenceDeps(Checkpoint(str(tiny_model_folder)), folder, seed)
        preference.run(planted()[::4], FEW, deps=deps)
        splits.append(set(spy.held_out))
    assert splits[0] == splits[1] != splits[2]


def test_nothing_but_abstentions_is_an_error(deps: PreferenceDeps, stage: StageFolder) -> None:
    with pytest.raises(TrainingError, match="no labelled pairs"):
        preference.run(planted(None), CONFIG, deps=deps)
    assert stage.manifest is None


def test_a_finished_stage_does_not_train_again(
    deps: PreferenceDeps, stage: StageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = preference.run(planted()[::4], FEW, deps=deps)
    spy = Spy(monkeypatch)
    again = preference.run([], FEW, deps=PreferenceDeps(Checkpoint("/nowhere"), stage))
    assert again.files == first.files
    assert spy.trained == []


class Lengths:
    """Scores an answer by its length; gives the text "none" no score."""

    identity = "lengths@1"

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        return [
            Scored(None, "none") if text == "none" else Scored(float(len(text)))
            for _, text in exchanges
        ]


def pair(a: str, b: str, p_a: float) -> tuple[Comparison, float]:
    return Comparison("c", PROMPTS[0], a, b, Origin("pairs", "test")), p_a


def test_a_scorer_is_measured_against_labels() -> None:
    found = evaluate_scorer(
        Lengths(),
        [
            pair("longer", "short", 0.9),
            pair("short", "longer", 0.2),
            pair("longer", "short", 0.3),
            pair("equal", "equal", 1.0),
            pair("none", "longer", 1.0),
            pair("longer", "none", 1.0),
        ],
    )
    # Two right, one wrong, and a tie that counts one half.
    assert found["accuracy"].value == pytest.approx(2.5 / 4)
    assert (found["accuracy"].n, found["unscored"]) == (4, 2)


def test_a_scorer_measured_on_nothing_knows_nothing() -> None:
    found = evaluate_scorer(Lengths(), [])
    assert (found["accuracy"].n, found["accuracy"].low, found["accuracy"].high) == (0, 0.0, 1.0)
    assert found["brier"] is None


def test_a_damaged_preference_model_is_a_model_error(
    deps: PreferenceDeps, stage: StageFolder
) -> None:
    preference.run(planted()[::4], FEW, deps=deps)
    weights = stage.path / "checkpoint" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:30])
    with pytest.raises(ModelError, match=r"\Aloading preference model [^\n]+\Z"):
        preference.reward_model(stage.path)
