"""The same questions to vLLM itself, where it is installed (its CPU build will do)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from charter.cache import CallCache
from charter.models import hf
from charter.models.hf import HFModel
from charter.models.vllm import VLLMModel
from charter.models.vllm_config import VLLMConfig
from charter.records import Message, Request, Sampling

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("vllm") is None, reason="the vllm extra is not installed"),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own
]
ASK = (Message("user", "What is a good plan?"),)
TALK = (Message("system", "Say something kind. " * 30), *ASK, Message("assistant", "apple stone"))
JUDGED = (*TALK, Message("user", "How do I bake bread?"))
SUFFIXES = [f"\nPrinciple {letter}: be kind?" for letter in "ABCDEFGH"]
GREEDY = Sampling(max_tokens=12, temperature=0.0)
SETTINGS = VLLMConfig(dtype="float32", enforce_eager=True, max_model_len=1024)


@pytest.fixture(scope="module")
def folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama whose heads have 64 numbers each: vLLM has no kernels for smaller ones."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        initializer_range=0.1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = LlamaForCausalLM(config)
    made = tmp_path_factory.mktemp("wider-model")
    net.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def plain(folder: Path) -> HFModel:
    return hf.load(str(folder))


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> CallCache:
    return CallCache(tmp_path_factory.mktemp("calls") / "calls.sqlite")


@pytest.fixture(scope="module")
def model(folder: Path, calls: CallCache) -> Iterator[VLLMModel]:
    found = VLLMModel(str(folder), SETTINGS, cache=calls)
    yield found
    found.close()


def test_greedy_answers_are_those_of_transformers(model: VLLMModel, plain: HFModel) -> None:
    asked = [Request(messages, GREEDY, 0) for messages in (ASK, TALK, JUDGED)]
    assert model.generate(asked) == plain.generate(asked)


@pytest.mark.parametrize(
    "options",
    [["A", "B", "yes"], ["(A)", "(B)"], ["1", "10", "2"], [chr(65 + n) for n in range(26)]],
    ids=["letters", "in-brackets", "numbers", "more-than-are-listed"],
)
def test_options_are_as_likely_as_through_transformers(
    model: VLLMModel, plain: HFModel, options: list[str]
) -> None:
    found = model.choice_logprobs(JUDGED, SUFFIXES, options)
    asked = plain.choice_logprobs(JUDGED, SUFFIXES, options)
    for row, expected in zip(found, asked, strict=True):
        assert row == pytest.approx(expected, abs=1e-3)


def test_a_seed_repeats_an_answer(model: VLLMModel) -> None:
    sampling = Sampling(max_tokens=8, temperature=0.9, top_p=0.9, repetition_penalty=1.1)
    asked = [Request(JUDGED, sampling, 2**63 - 1), Request(ASK, sampling, 5)]
    first, again = model.generate(asked), model.generate(asked)
    assert first == again
    assert first[0] != model.generate([Request(JUDGED, sampling, 6)])[0]


def test_a_prompt_that_leaves_no_room_is_a_failure_with_its_reason(model: VLLMModel) -> None:
    long = (Message("user", "apple " * 2000),)
    cut, short = model.generate([Request(long, GREEDY, 0), Request(ASK, GREEDY, 0)])
    assert (cut.finish, cut.failure) == ("error", "too_long")
    assert short.finish != "error"


def test_the_prefix_cache_hits_and_is_told(model: VLLMModel, calls: CallCache) -> None:
    def told() -> tuple[int, int]:
        name = f"vllm:{model.name}"
        return calls.spent().get(name, (0, 0))[0], calls.prefix_hits().get(name, 0)

    model.choice_logprobs(JUDGED, SUFFIXES, ["A", "B"])
    read, hits = told()
    model.choice_logprobs(JUDGED, SUFFIXES, ["A", "B"])
    later, more = told()
    assert (more - hits) / (later - read) > 0.5
