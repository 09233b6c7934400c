"""vLLM inside the process says what the same network says through transformers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from charter.cache import CallCache
from charter.errors import CallFailed, InputError, ModelError
from charter.models import hf, vllm
from charter.models.endpoint import EndpointConfig
from charter.models.hf import HFModel
from charter.models.loading import Models
from charter.models.spend import Ledger, spend
from charter.models.vllm import VLLMModel
from charter.models.vllm_config import VLLMConfig
from charter.records import Checkpoint, ChoiceModel, Message, Model, Request, Sampling

from . import vllm_stand_in
from .vllm_stand_in import BLOCK, LLM

ASK = (Message("user", "What is a good plan?"),)
TALK = (
    Message("system", "Say something kind. " * 9),
    Message("user", "Tell me a story."),
    Message("assistant", "apple stone"),
    Message("user", "How do I bake bread?"),
)
SUFFIXES = ["\n\nIs it good?", "\n\nIs it bad, or is it both?\nAnswer: (", ""]
GREEDY = Sampling(max_tokens=12, temperature=0.0)


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in vllm._ENVIRONMENT:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setitem(sys.modules, "vllm", vllm_stand_in.module())


@pytest.fixture
def calls(tmp_path: Path) -> Iterator[CallCache]:
    found = CallCache(tmp_path / "calls.sqlite")
    yield found
    found.close()


@pytest.fixture(scope="module")
def plain(tiny_model_folder: Path) -> HFModel:
    return hf.load(str(tiny_model_folder))


def opened(folder: Path, cache: CallCache | None = None, **settings: object) -> VLLMModel:
    return VLLMModel(str(folder), VLLMConfig(**settings), cache=cache)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [["A", "B", "yes"], ["(A)", "(B)"], ["1", "10", "2"], ["no apple", "no stone"]]
)
@pytest.mark.parametrize("prefix", [ASK, TALK], ids=["one-turn", "many-turns"])
def test_options_are_as_likely_as_through_transformers(
    tiny_model_folder: Path, plain: HFModel, prefix: tuple[Message, ...], options: list[str]
) -> None:
    found = opened(tiny_model_folder).choice_logprobs(prefix, SUFFIXES, options)
    asked = plain.choice_logprobs(prefix, SUFFIXES, options)
    for row, expected in zip(found, asked, strict=True):
        assert row == pytest.approx(expected, abs=1e-4)
    assert found[0] != pytest.approx(found[1], abs=1e-2)


def test_options_that_are_not_among_the_likeliest_are_known_all_the_same(
    tiny_model_folder: Path, plain: HFModel
) -> None:
    options = [chr(letter) for letter in range(ord("A"), ord("Z") + 1)]
    model = opened(tiny_model_folder)
    [found] = model.choice_logprobs(ASK, [""], options)
    [expected] = plain.choice_logprobs(ASK, [""], options)
    assert found == pytest.approx(expected, abs=1e-4)
    assert len(model._engine.asked) > 1  # more than the list of the likeliest was needed


def test_greedy_answers_are_those_of_transformers(tiny_model_folder: Path, plain: HFModel) -> None:
    asked = [Request(messages, GREEDY, 0) for messages in (ASK, TALK, TALK[:2])]
    assert opened(tiny_model_folder).generate(asked) == plain.generate(asked)


def test_an_answer_that_ends_by_itself_is_told_from_one_that_was_cut_off(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(tiny_model_folder)
    end = model._engine.net.generation_config.eos_token_id
    sequence = iter([*model.chat.encode("good plan"), end, 5, 6, 7])
    monkeypatch.setattr(LLM, "_next", lambda *_: next(sequence))
    [whole] = model.generate([Request(ASK, GREEDY, 0)])
    [cut] = model.generate([Request(ASK, Sampling(max_tokens=2), 0)])
    words = len(model.chat.encode("good plan"))
    assert (whole.text, whole.tokens, whole.finish) == ("good plan", words, "stop")
    assert (cut.tokens, cut.finish) == (2, "length")


def test_an_answer_depends_on_its_own_seed_and_not_on_its_neighbours(
    tiny_model_folder: Path,
) -> None:
    sampling = Sampling(max_tokens=12)
    asked = [Request(talk, sampling, seed) for seed in (1, 2) for talk in (TALK, ASK)]
    together = opened(tiny_model_folder).generate(asked)
    alone = [opened(tiny_model_folder).generate([request])[0] for request in asked]
    assert together == alone
    assert together[0].text != together[2].text


def test_the_settings_of_a_request_reach_vllm(tiny_model_folder: Path) -> None:
    sampling = Sampling(max_tokens=7, temperature=0.3, top_p=0.9, repetition_penalty=1.1)
    made = opened(tiny_model_folder)._sampled(Request(ASK, sampling, 2**63 - 1))
    assert (made.max_tokens, made.temperature, made.top_p) == (7, 0.3, 0.9)
    assert (made.repetition_penalty, made.seed) == (1.1, 2**63 - 1)


def test_the_prefix_cache_holds_a_comparison_for_all_of_its_principles(
    tiny_model_folder: Path, calls: CallCache
) -> None:
    model = opened(tiny_model_folder, calls)
    suffixes = [f"\nPrinciple {letter}: be kind." for letter in "ABCDEFGH"]
    stem, asked = model.chat.questions(TALK, suffixes)
    rows = [[*stem, *ids] for ids in asked]
    shared = next(n for n, tokens in enumerate(zip(*rows, strict=False)) if len({*tokens}) > 1)
    hits = (len(rows) - 1) * (shared // BLOCK * BLOCK)
    model._first(rows, [None] * len(rows))
    name = f"vllm:{tiny_model_folder}"
    read, written = calls.spent()[name]
    assert hits >= 7 * 2 * BLOCK
    assert (read, written) == (sum(map(len, rows)), len(rows))
    assert calls.prefix_hits() == {name: hits}
    assert spend(read, written, hits).hit_rate == pytest.approx(hits / read)


def test_prompts_that_begin_alike_are_asked_side_by_side(tiny_model_folder: Path) -> None:
    model = opened(tiny_model_folder)
    other = (Message("system", "Bake bread. " * 9), *TALK[1:])
    mixed = [
        Request((*talk[:-1], Message("user", end)), GREEDY, 0)
        for end in "abc"
        for talk in (TALK, other)
    ]
    answers = model.generate(mixed)
    begins = [tuple(ids[:BLOCK]) for ids in model._engine.asked]
    assert begins == sorted(begins) and len(set(begins)) == 2
    assert answers == [model.generate([request])[0] for request in mixed]


def test_a_prompt_that_leaves_no_room_is_a_failure_with_its_reason(
    tiny_model_folder: Path,
) -> None:
    model = opened(tiny_model_folder, max_model_len=64)
    long = (Message("user", "apple " * 100),)
    short, cut = model.generate([Request(ASK, GREEDY, 0), Request(long, GREEDY, 0)])
    assert short.finish != "error" and short.text
    assert (cut.finish, cut.failure, cut.tokens) == ("error", "too_long", 0)
    assert model.generate([Request(long, GREEDY, 0)]) == [cut]
    with pytest.raises(CallFailed) as caught:
        model.choice_logprobs(long, SUFFIXES, ["A", "B"])
    assert caught.value.reason == "too_long"


def test_an_answer_that_vllm_gave_up_is_a_failure(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = LLM._answer

    def aborted(self: LLM, *args: object) -> object:
        output = answer(self, *args)  # type: ignore[arg-type]
        output.outputs[0].finish_reason = "abort"
        return output

    monkeypatch.setattr(LLM, "_answer", aborted)
    [found] = opened(tiny_model_folder).generate([Request(ASK, GREEDY, 0)])
    assert (found.finish, found.failure, found.text) == ("error", "aborted", "")


def test_it_is_loaded_at_its_first_call_and_again_after_it_was_let_go(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LLM, "made", 0)
    models = Models()
    checkpoint = Checkpoint(f"vllm:{tiny_model_folder}")
    model = models.choices(checkpoint)
    assert model.identity.startswith(f"vllm:{tiny_model_folder}@") and LLM.made == 0
    assert models.get(checkpoint) is model and isinstance(model, ChoiceModel)
    assert isinstance(model, VLLMModel) and isinstance(model, Model)
    first = [model.generate([Request(ASK, GREEDY, 0)]) for _ in range(2)]
    assert LLM.made == 1
    models.release()
    assert model.generate([Request(ASK, GREEDY, 0)]) == first[0] == first[1]
    assert LLM.made == 2
    models.close()
    assert "_engine" not in vars(model)


def test_a_run_without_vllm_says_what_to_install(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    model = opened(tiny_model_folder)
    with pytest.raises(ModelError, match=r"pip install 'charter-cai\[vllm\]'"):
        model.generate([Request(ASK, GREEDY, 0)])


def test_what_vllm_refuses_is_a_model_error(tiny_model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"in vLLM failed: User-specified max_model_len \(9999\)"):
        opened(tiny_model_folder, max_model_len=9999).generate([Request(ASK, GREEDY, 0)])
    with pytest.raises(ModelError, match="loading model"):
        opened(tmp_path / "nowhere")


def test_the_name_in_records_tells_weights_and_their_type(
    tiny_model_folder: Path, plain: HFModel
) -> None:
    assert opened(tiny_model_folder).identity == f"vllm:{plain.identity}"
    assert opened(tiny_model_folder, gpu_memory_utilization=0.5).identity == (
        opened(tiny_model_folder).identity
    )
    assert opened(tiny_model_folder, dtype="float16").identity == f"vllm:{plain.identity}-float16"


def test_its_tokens_are_told_and_not_capped(tiny_model_folder: Path, calls: CallCache) -> None:
    capped = EndpointConfig(max_tokens_spent=1)
    models = Models(endpoint=capped, cache=calls)
    models.get(Checkpoint(f"vllm:{tiny_model_folder}")).generate([Request(ASK, GREEDY, 0)])
    assert calls.spent()[f"vllm:{tiny_model_folder}"] > (1, 1)
    assert Ledger(capped, calls.spent()).tokens() == 0


def test_weights_of_a_model_in_vllm_cannot_be_had(tiny_model_folder: Path) -> None:
    with pytest.raises(InputError, match="run by vLLM; its weights are needed here"):
        Models().local(Checkpoint(f"vllm:{tiny_model_folder}"))
    with pytest.raises(InputError, match="adapters cannot be merged"):
        Models().get(Checkpoint(f"vllm:{tiny_model_folder}", ("adapter",)))


def test_vllm_runs_in_this_process_and_calls_nobody(tiny_model_folder: Path) -> None:
    os.environ["VLLM_LOGGING_LEVEL"] = "INFO"  # what the user has set stays
    opened(tiny_model_folder).generate([Request(ASK, GREEDY, 0)])
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert os.environ["VLLM_NO_USAGE_STATS"] == "1"
    assert os.environ["VLLM_LOGGING_LEVEL"] == "INFO"
