"""Training for real on a tiny random model, one run an option."""

from __future__ import annotations

import pytest

from charter.errors import TrainingError
from charter.models import hf
from charter.records import Checkpoint, Message
from charter.training.examples import ChatExample, PairExample, Tokeniser
from charter.training.gathered import GatheredLM
from charter.training.quiet import quiet
from charter.training.run import answer_logprobs, train_dpo, train_sft
from charter.training.settings import DPOSettings, TrainSettings

ASK = (Message("user", "Say something kind."),)
THINGS = ["apple", "stone", "river", "cloud"]
EXAMPLES = [ChatExample(ASK, f"good {thing}") for thing in THINGS] * 8
PAIRS = [PairExample(ASK, f"good {thing}", f"bad {thing}", 1.0) for thing in THINGS] * 8
QUICK = TrainSettings(learning_rate=1e-2, batch_size=8, lora_rank=4, epochs=2.0)


@pytest.fixture
def start(tiny_model_folder):
    return Checkpoint(str(tiny_model_folder))


def likelihoods(checkpoint, answers):
    with quiet():
        model = hf.load(checkpoint.base, adapters=checkpoint.adapters)
    rows = Tokeniser.of(model, 128).chat([ChatExample(ASK, answer) for answer in answers])
    return answer_logprobs(GatheredLM(model.net), rows, device=model.device, max_tokens=512)


def relabelled(p):
    return [PairExample(pair.messages, pair.a, pair.b, p) for pair in PAIRS]


def dpo(start, out, pairs=PAIRS, settings=QUICK, **options):
    return train_dpo(start, pairs, settings, DPOSettings(beta=0.5, **options), out)


@pytest.mark.parametrize("rank", [4, 0])
def test_imitation_learns_the_answers_and_saves_them(start, tmp_path, rank):
    settings = TrainSettings(learning_rate=1e-2, lora_rank=rank, epochs=5.0)
    trained = train_sft(start, EXAMPLES, settings, tmp_path / "out")
    assert trained.curve[-1]["loss"] < trained.curve[0]["loss"] - 1.2
    [before], [after] = (
        likelihoods(start, ["good apple"]),
        likelihoods(trained.checkpoint, ["good apple"]),
    )
    assert after > before + 3
    assert trained.tokens > 5 * len(EXAMPLES) * 10
    assert not list((tmp_path / "out").glob("steps-*"))


def test_the_same_seed_gives_the_same_curve_and_weights_and_another_does_not(start, tmp_path):
    runs = [
        train_sft(
            start, EXAMPLES, TrainSettings(learning_rate=1e-2, lora_dropout=0.1, seed=seed), out
        )
        for seed, out in [(1, tmp_path / "a"), (1, tmp_path / "b"), (2, tmp_path / "c")]
    ]
    assert runs[0].curve == runs[1].curve
    assert runs[0].checkpoint.digest == runs[1].checkpoint.digest
    assert runs[0].curve != runs[2].curve


class KilledError(Exception):
    pass


@pytest.mark.parametrize("rank", [4, 0])
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(start, tmp_path, rank):
    settings = TrainSettings(
        learning_rate=1e-2, lora_rank=rank, lora_dropout=0.1, epochs=2.0, save_steps=2
    )

    def kill(done, total, metrics):
        if done == 5:
            raise KilledError

    whole = train_sft(start, EXAMPLES, settings, tmp_path / "whole")
    with pytest.raises(KilledError):
        train_sft(start, EXAMPLES, settings, tmp_path / "cut", kill)
    # The kill fell into the writing of the next checkpoint: what is half there does not count.
    [steps] = (tmp_path / "cut").glob("steps-*")
    (steps / "checkpoint-6").mkdir()
    seen = []
    resumed = train_sft(
        start, EXAMPLES, settings, tmp_path / "cut", lambda done, *_: seen.append(done)
    )
    assert seen == [5, 6, 7, 8]
    assert resumed.curve == whole.curve
    assert resumed.checkpoint.digest == whole.checkpoint.digest


def test_nothing_is_printed(start, tmp_path, capfd):
    train_sft(start, EXAMPLES, TrainSettings(lora_rank=0), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_steps_of_another_job_are_not_resumed(start, tmp_path):
    settings = TrainSettings(save_steps=1)

    def kill(done, total, metrics):
        if done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train_sft(start, EXAMPLES, settings, tmp_path, kill)
    seen = []
    train_sft(start, EXAMPLES[:16], settings, tmp_path, lambda done, *_: seen.append(done))
    assert seen == [1, 2]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "ipo"},
        {"reference_free": True},
        {"length_normalised": True},
        {"sft_weight": 0.5},
    ],
    ids=str,
)
def test_each_direct_preference_learns_the_planted_word(start, tmp_path, options):
    trained = dpo(start, tmp_path / "out", **options)
    assert trained.curve[-1]["margin"] > trained.curve[0]["margin"] + 0.3
    assert trained.curve[-1]["accuracy"] == 1.0
    good, bad = likelihoods(trained.checkpoint, ["good apple", "bad apple"])
    was_good, was_bad = likelihoods(start, ["good apple", "bad apple"])
    assert good - bad > was_good - was_bad + 0.3


def test_the_reference_is_the_start_so_the_first_margin_is_zero(start, tmp_path):
    trained = dpo(start, tmp_path / "out")
    assert trained.curve[0]["margin"] == pytest.approx(0, abs=1e-4)
    assert trained.curve[0]["loss"] == pytest.approx(0.6931, abs=1e-3)


def test_the_sign_of_what_is_learnt_follows_the_label(start, tmp_path):
    ahead = {}
    for p in (0.9, 0.5, 0.1):
        trained = dpo(start, tmp_path / str(p), relabelled(p))
        good, bad = likelihoods(trained.checkpoint, ["good apple", "bad apple"])
        ahead[p] = good - bad
    good, bad = likelihoods(start, ["good apple", "bad apple"])
    assert ahead[0.9] > good - bad + 0.5
    assert ahead[0.1] < good - bad - 0.5
    # At 1/2 the gradient is rounding noise, which AdamW's scaling turns into small steps.
    shifts = {p: abs(found - (good - bad)) for p, found in ahead.items()}
    assert shifts[0.5] < 0.5 * min(shifts[0.9], shifts[0.1])


def test_dpo_goes_on_from_imitation_with_it_as_the_reference(start, tmp_path):
    imitation = train_sft(start, EXAMPLES, QUICK, tmp_path / "sft").checkpoint
    trained = dpo(imitation, tmp_path / "dpo")
    assert trained.checkpoint.adapters == (str(tmp_path / "sft"), str(tmp_path / "dpo"))
    assert trained.curve[0]["margin"] == pytest.approx(0, abs=1e-4)


def test_full_fine_tuning_by_dpo_keeps_its_start_as_the_reference(start, tmp_path):
    settings = TrainSettings(learning_rate=2e-3, lora_rank=0, epochs=2.0)
    trained = dpo(start, tmp_path / "out", settings=settings)
    assert trained.checkpoint == Checkpoint(
        str(tmp_path / "out"), (), hf.revision(tmp_path / "out")
    )
    assert trained.curve[0]["margin"] == pytest.approx(0, abs=1e-4)
    assert trained.curve[-1]["margin"] > 0.3


def test_the_last_block_alone_can_learn(start, tmp_path):
    settings = TrainSettings(learning_rate=1e-2, lora_rank=4, lora_last_layers=1)
    trained = train_sft(start, EXAMPLES, settings, tmp_path / "out")
    assert trained.curve[-1]["loss"] < trained.curve[0]["loss"] - 0.5


def test_nothing_to_train_on_is_an_error(start, tmp_path):
    with pytest.raises(TrainingError, match="no examples"):
        train_sft(start, [], QUICK, tmp_path)
    with pytest.raises(TrainingError, match="no pairs"):
        train_dpo(start, [], QUICK, DPOSettings(), tmp_path)


def test_a_diverged_run_writes_no_checkpoint(start, tmp_path):
    wild = TrainSettings(learning_rate=1e30, lora_rank=0, max_grad_norm=1e30, epochs=4.0)
    with pytest.raises(TrainingError, match="learning_rate"):
        train_sft(start, EXAMPLES, wild, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.safetensors"))
