"""The preference model: what it is trained on, what is held out, and what abstentions are worth."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from charter import preference
from charter.errors import ModelError, TrainingError
from charter.judging.scorer_figures import SourcedPair
from charter.judging.under_principle import UnderPrinciple
from charter.preference import (
    PreferenceConfig,
    PreferenceDeps,
    SourceWeights,
    evaluate_scorer,
)
from charter.records import (
    Abstention,
    Checkpoint,
    Comparison,
    Label,
    Labelled,
    Message,
    Origin,
    PrincipleVote,
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
            self.held_out = [p.comparison.prompt.messages[-1].content for p in pairs]
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


def test_hard_labels_say_only_which_answer_is_preferred(
    deps: PreferenceDeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch)
    mixed = [labelled(p, "apple", 0.5 if n % 2 else 0.7, True) for n, p in enumerate(PROMPTS)]
    manifest = preference.run(mixed, msgspec.structs.replace(FEW, labels="hard"), deps=deps)
    assert {p_a for *_, p_a in spy.trained} == {0.5, 1.0}
    # What is measured on the pairs held out is the judge's labels as they are.
    assert manifest.notes["held_out"]["brier"] == pytest.approx(0.02, abs=0.02)


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


def pair(a: str, b: str, p_a: float, source: str = "ai") -> SourcedPair:
    return SourcedPair(Comparison("c", PROMPTS[0], a, b, Origin("pairs", "test")), p_a, source)


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


def test_ties_lengths_and_sources_are_told_apart() -> None:
    found = evaluate_scorer(
        Lengths(),
        [
            pair("longer", "short", 0.9),
            pair("short", "longest", 0.2),
            pair("a", "abcd", 0.5),
            pair("equal", "equal", 0.5, "human"),
            pair("longer", "short", 0.1, "human"),
            pair("none", "short", 0.1, "human"),
        ],
    )
    assert (found["tie_rate"].value, found["tie_rate"].n) == (pytest.approx(1 / 5), 5)
    assert found["label_tie_rate"].value == pytest.approx(2 / 5)
    # This scorer's reward is the length, so the two agree wholly, whichever answer stands first.
    assert found["length_correlation"].value == pytest.approx(1.0)
    assert found["length_correlation"].n == 5
    assert 0 < found["label_length_correlation"].value < 0.5
    ai, human = found["by_source"]["ai"], found["by_source"]["human"]
    assert (ai["accuracy"].value, ai["accuracy"].n) == (pytest.approx(2.5 / 3), 3)
    assert (human["accuracy"].value, human["accuracy"].n) == (pytest.approx(0.25), 2)
    assert (ai["unscored"], human["unscored"]) == (0, 1)


def test_swapping_every_pair_changes_no_figure() -> None:
    pairs = [pair("longer", "short", 0.9), pair("abc", "no", 0.3), pair("x", "yyy", 0.6)] * 2
    swapped = [SourcedPair(p.comparison.swap(), 1 - p.p_a, p.source) for p in pairs]
    one, other = evaluate_scorer(Lengths(), pairs), evaluate_scorer(Lengths(), swapped)
    for name in ("accuracy", "length_correlation", "label_length_correlation"):
        assert one[name].value == pytest.approx(other[name].value)


def people(path: Path, prompts: Sequence[Prompt], better: str, worse: str) -> str:
    rows = [
        {"prompt": p.messages[-1].content, "a": f"{better} {t}", "b": f"{worse} {t}", "label": "a"}
        for p in prompts
        for t in THINGS
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_peoples_pairs_are_mixed_in_with_a_weight_of_their_own(
    deps: PreferenceDeps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People contradict the judge: who counts for more decides."""
    file = people(tmp_path / "people.jsonl", PROMPTS, "sorry", "please")
    spy = Spy(monkeypatch)
    config = msgspec.structs.replace(CONFIG, human=file, weights=SourceWeights(ai=0.05, human=1.0))
    manifest = preference.run(
        planted(), config, deps=dataclasses.replace(deps, evaluated=[PROMPTS[0]])
    )
    assert manifest.notes["left_out"] == {"held_out_prompt": 4}
    sources = manifest.notes["held_out"]["by_source"]
    assert sources["human"]["accuracy"].value > 0.8 and sources["ai"]["accuracy"].value < 0.2
    # A conversation is on one side only, whoever labelled it.
    assert not {text for text, *_ in spy.trained} & set(spy.held_out)
    by_source = manifest.notes["train_pairs_by_source"]
    assert by_source["ai"] == 48 and by_source["human"] in (44, 48)


def test_a_source_without_weight_is_left_out(
    deps: PreferenceDeps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = people(tmp_path / "people.jsonl", PROMPTS[:4], "sorry", "please")
    spy = Spy(monkeypatch)
    config = msgspec.structs.replace(FEW, human=file, weights=SourceWeights(ai=0.0))
    preference.run(planted()[::4], config, deps=deps)
    assert all({a.split()[0], b.split()[0]} == {"sorry", "please"} for _, a, b, _ in spy.trained)
    assert len(spy.trained) <= 16


def opposed(prompt: Prompt, thing: str, kind_first: bool) -> Labelled:
    """Under "kind" please is better, under "curt" sorry is."""
    made = labelled(prompt, thing, 0.5, kind_first)
    kind = 0.95 if kind_first else 0.05
    votes = (PrincipleVote("kind", kind, kind), PrincipleVote("curt", 1 - kind, 1 - kind))
    assert isinstance(made.label, Verdict)
    return Labelled(made.comparison, msgspec.structs.replace(made.label, votes=votes))


def test_each_principle_is_learnt_with_its_text_in_the_prompt(
    deps: PreferenceDeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch)
    records = [opposed(prompt, "apple", n % 2 == 0) for n, prompt in enumerate(PROMPTS)]
    config = msgspec.structs.replace(FEW, principles=True)
    told = dataclasses.replace(deps, principles={"kind": "Be kind.", "curt": "Be curt."})
    manifest = preference.run(records, config, deps=told)
    assert manifest.notes["train_rows"] == 3 * manifest.notes["train_pairs"] == 3 * 12
    texts = told.principles.values()
    under = {text: [row for row in spy.trained if text in row[0]] for text in texts}
    for text, likes in (("Be kind.", "please"), ("Be curt.", "sorry")):
        assert len(under[text]) == 12
        # Whichever stands first, the principle's own vote is the label, not the verdict's 1/2.
        assert {p for _, a, _, p in under[text] if a.startswith(likes)} == {0.95}
    assert {p for asked, _, _, p in spy.trained if "Be " not in asked} == {0.5}
    by_principle = manifest.notes["held_out_principles"]["by_source"]
    assert {name: row["accuracy"].n for name, row in by_principle.items()} == {
        "Be kind.": 4,
        "Be curt.": 4,
    }


def test_a_pairs_votes_count_together_as_much_as_the_pair() -> None:
    votes = (PrincipleVote("kind", 0.9, 0.9, weight=3.0), PrincipleVote("curt", 0.1, 0.1))
    label = Verdict("c", 0.5, votes, "judge@1")
    found = preference._votes(label, {"kind": "Be kind.", "curt": "Be curt."})
    assert [(text, share) for text, _, share in found] == [("Be kind.", 0.75), ("Be curt.", 0.25)]
    assert preference._votes(label, {}) == ()


class Asked:
    """Scores nothing, and notes what it was asked."""

    identity = "asked@1"

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        self.prompts += [prompt for prompt, _ in exchanges]
        return [Scored(0.0) for _ in exchanges]


def test_a_scorer_can_be_asked_about_one_principle() -> None:
    scorer = Asked()
    kind, curt = UnderPrinciple(scorer, "Be kind."), UnderPrinciple(scorer, "Be curt.")
    assert len({kind.identity, curt.identity, scorer.identity}) == 3
    kind.score([(PROMPTS[0], "please")])
    [prompt] = scorer.prompts
    assert prompt.id == PROMPTS[0].id
    text = prompt.messages[-1].content
    assert text.startswith(PROMPTS[0].messages[-1].content) and text.endswith("Be kind.")
