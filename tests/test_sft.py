"""What is imitated: which revisions, which helpful answers, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from charter import sft
from charter.errors import TrainingError
from charter.models import hf
from charter.records import (
    Checkpoint,
    Completion,
    Demonstration,
    Dropped,
    Message,
    Origin,
    Prompt,
    Request,
    RevisionChain,
    Sampling,
    Step,
)
from charter.sft import SftConfig, SftDataDeps, SftDeps
from charter.store import DROPPED, Manifest, RunFolder, StageFolder
from charter.training.settings import TrainSettings

Reply = Callable[[Request], str]


class Scripted:
    """Answers with what a function makes of the request; keeps every request."""

    identity = "policy@1"

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.asked += requests
        return [Completion(self.reply(r), 5, "stop") for r in requests]


def helpful(request: Request) -> str:
    return f"A kind answer to {request.messages[-1].content!r}."


def prompt(name: str, kind: str = "benign") -> Prompt:
    return Prompt(name, (Message("user", f"question {name}"),), kind)


def chain(name: str, *revisions: str, arm: str = "critique") -> RevisionChain:
    steps = tuple(Step("calm", "The answer is too loud.", text) for text in revisions)
    origin = Origin("critique", "policy@1 | critic@1", constitution="doc")
    return RevisionChain(f"{name}/{arm}", prompt(name, "redteam"), arm, "draft", steps, origin)  # type: ignore[arg-type]


class Data:
    """The data stage, run once a test."""

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder(path).stage("sft_data", "asked")

    def run(
        self,
        chains: Sequence[RevisionChain] = (),
        prompts: Sequence[Prompt] = (),
        config: SftConfig | None = None,
        reply: Reply = helpful,
        seed: int = 0,
    ) -> tuple[Manifest, Scripted]:
        policy = Scripted(reply)
        deps = SftDataDeps(policy, self.folder, seed)
        return sft.demonstrations(chains, prompts, config or SftConfig(), deps=deps), policy

    @property
    def kept(self) -> list[Demonstration]:
        return list(self.folder.log(Demonstration))

    @property
    def dropped(self) -> list[Dropped]:
        return list(self.folder.log(Dropped, DROPPED))


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


CHAINS = [chain("r0", "first", "second", "third"), chain("r1", "only")]


def test_the_revisions_of_every_round_are_imitated(data: Data) -> None:
    data.run(CHAINS)
    assert [(d.id, d.answer) for d in data.kept] == [
        ("r0/critique#0", "first"),
        ("r0/critique#1", "second"),
        ("r0/critique#2", "third"),
        ("r1/critique#0", "only"),
    ]
    assert {d.source for d in data.kept} == {"revision"}


def test_only_the_last_round_if_asked_for(data: Data) -> None:
    data.run(CHAINS, config=SftConfig(rounds="last"))
    assert [d.answer for d in data.kept] == ["third", "only"]


def test_a_revision_says_which_chain_and_what_made_it(data: Data) -> None:
    data.run(CHAINS)
    last = data.kept[-1]
    assert (last.chain, last.prompt) == ("r1/critique", CHAINS[1].prompt)
    assert last.origin == CHAINS[1].origin


def test_a_text_that_a_round_left_alone_is_imitated_once(data: Data) -> None:
    data.run([chain("r0", "same", "same", "other", "same"), chain("r1", "same")])
    assert [(d.chain, d.answer) for d in data.kept] == [
        ("r0/critique", "same"),
        ("r0/critique", "other"),
        ("r1/critique", "same"),
    ]


def test_only_the_arm_that_is_asked_for(data: Data) -> None:
    both = [chain("r0", "with"), chain("r0", "without", arm="direct")]
    data.run(both, config=SftConfig(arm="direct"))
    assert [d.answer for d in data.kept] == ["without"]


def test_helpful_answers_come_from_the_start_model(data: Data) -> None:
    sampling = Sampling(max_tokens=9, temperature=0.3)
    manifest, policy = data.run(
        CHAINS, [prompt("b0"), prompt("b1")], SftConfig(helpful=sampling), seed=4
    )
    assert manifest.kept == 6
    answers = [d for d in data.kept if d.source == "helpful"]
    assert [d.id for d in answers] == ["b0/helpful", "b1/helpful"]
    assert answers[0].answer == "A kind answer to 'question b0'."
    assert answers[0].chain == ""
    origin = answers[0].origin
    assert (origin.model, origin.sampling, origin.seed) == ("policy@1", sampling, 4)
    assert [r.sampling for r in policy.asked] == [sampling] * 2
    assert len({r.seed for r in policy.asked}) == 2


def test_a_prompts_seed_does_not_depend_on_the_others(tmp_path: Path) -> None:
    _, together = Data(tmp_path / "a").run(prompts=[prompt("b0"), prompt("b1")])
    _, alone = Data(tmp_path / "b").run(prompts=[prompt("b1")])
    _, reseeded = Data(tmp_path / "c").run(prompts=[prompt("b1")], seed=1)
    assert alone.asked == together.asked[1:]
    assert alone.asked[0].seed != reseeded.asked[0].seed


def test_degenerate_helpful_answers_are_dropped_and_counted(data: Data) -> None:
    bad = {
        "question b0": "",
        "question b1": "Yes.",
        "question b2": "so it is " * 9,
        "question b3": "question b3",
    }

    def reply(request: Request) -> str:
        return bad.get(request.messages[-1].content, helpful(request))

    manifest, _ = data.run(CHAINS[1:], [prompt(f"b{n}") for n in range(5)], reply=reply)
    assert manifest.kept == 2
    assert sum(manifest.dropped.values()) == 4
    assert manifest.dropped["helpful_empty"] == 1
    assert manifest.dropped["helpful_repetitive"] == 1
    assert [d.id for d in data.dropped] == [f"b{n}/helpful" for n in range(4)]
    assert [d.id for d in data.kept] == ["r1/critique#0", "b4/helpful"]


def test_announcements_are_cleaned_off_helpful_answers(data: Data) -> None:
    data.run(prompts=[prompt("b0")], reply=lambda _: "Here is my answer: bake the bread slowly.")
    assert data.kept[0].answer == "bake the bread slowly."


def test_finished_data_are_not_made_again(data: Data) -> None:
    first, _ = data.run(CHAINS, [prompt("b0")])
    again, policy = data.run(CHAINS, [prompt("b0")])
    assert again == first
    assert policy.asked == []


ASK = Prompt("p", (Message("user", "Say something kind."),))
QUICK = SftConfig(train=TrainSettings(learning_rate=1e-2, lora_rank=4, epochs=4.0))


def demonstrations(count: int = 16) -> list[Demonstration]:
    origin = Origin("sft", "policy@1")
    return [Demonstration(f"d{n}", ASK, "good apple", "helpful", "", origin) for n in range(count)]


@pytest.fixture
def stage(tmp_path: Path) -> StageFolder:
    return RunFolder(tmp_path).stage("sft", "asked")


def test_training_writes_checkpoint_curve_and_notes(
    tiny_model_folder: Path, stage: StageFolder
) -> None:
    seen: list[tuple[str, int, int | None]] = []
    deps = SftDeps(Checkpoint(str(tiny_model_folder)), stage, lambda *step: seen.append(step))
    manifest = sft.run(demonstrations(), QUICK, deps=deps)
    assert seen == [("sft", n, 8) for n in range(1, 9)]
    assert manifest.notes["examples"] == 16
    assert manifest.notes["tokens"] > 4 * 16 * 4
    assert {"curve.jsonl", "checkpoint/adapter_model.safetensors"} <= set(manifest.files)
    assert len((stage.path / "curve.jsonl").read_text().splitlines()) == 8
    trained = manifest.notes["checkpoint"]
    assert trained.base == str(tiny_model_folder)
    model = hf.load(trained.base, adapters=trained.adapters)
    [found] = model.generate([Request(ASK.messages, Sampling(6, 0.0), 0)])
    assert found.text.startswith("good apple")


def test_a_finished_stage_does_not_train_again(tiny_model_folder: Path, stage: StageFolder) -> None:
    start = Checkpoint(str(tiny_model_folder))
    first = sft.run(demonstrations(4), QUICK, deps=SftDeps(start, stage))
    # A start that cannot be loaded: training would fail.
    again = sft.run([], QUICK, deps=SftDeps(Checkpoint("/nowhere"), stage))
    assert again.files == first.files
    assert again.notes["checkpoint"]["digest"] == first.notes["checkpoint"].digest


def test_nothing_to_imitate_is_an_error_and_no_manifest(
    tiny_model_folder: Path, stage: StageFolder
) -> None:
    with pytest.raises(TrainingError, match="no examples"):
        sft.run([], QUICK, deps=SftDeps(Checkpoint(str(tiny_model_folder)), stage))
    assert stage.manifest is None


def shown(revisions: int, helpful_: int) -> list[Demonstration]:
    """Demonstrations in which the two sources alternate as long as there are any."""
    origin = Origin("sft_data", "policy@1")
    rows = [
        Demonstration(f"{source}{i}", prompt(str(i)), "good", source, "", origin)  # type: ignore[arg-type]
        for i in range(max(revisions, helpful_))
        for source, count in (("revision", revisions), ("helpful", helpful_))
        if i < count
    ]
    assert len(rows) == revisions + helpful_
    return rows


@pytest.mark.parametrize(
    ("ratio", "revisions", "left"),
    [(1.0, 6, 6), (3.0, 18, 6), (0.5, 3, 6), (5.0, 20, 4)],
)
def test_the_source_of_which_there_is_too_much_is_thinned_out(
    ratio: float, revisions: int, left: int
) -> None:
    records = shown(20, 6)
    mix = sft.mixed(records, ratio, seed=3)
    counts = {
        source: sum(r.source == source for r in mix.kept) for source in ("revision", "helpful")
    }
    assert counts == {"revision": revisions, "helpful": left}
    assert mix.left_out == {"revision": 20 - revisions, "helpful": 6 - left}
    assert mix.kept == [record for record in records if record in mix.kept]
    assert mix == sft.mixed(records, ratio, seed=3)


def test_which_ones_are_thinned_out_follows_the_seed_and_not_the_order() -> None:
    records = shown(20, 6)
    ids = [
        {r.id for r in sft.mixed(rows, 1.0, seed).kept}
        for rows, seed in ((records, 1), (records[::-1], 1), (records, 2))
    ]
    assert ids[0] == ids[1] != ids[2]


def test_without_a_ratio_everything_is_imitated() -> None:
    assert sft.mixed(shown(3, 0), 0.0, seed=0) == sft.Mix(shown(3, 0), {})


def test_a_ratio_with_nothing_to_mix_is_an_error() -> None:
    with pytest.raises(TrainingError, match="3 revisions and 0 helpful"):
        sft.mixed(shown(3, 0), 1.0, seed=0)
