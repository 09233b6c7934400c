"""Sampling: a row's tokens depend on its prompt, settings and seed, and on nothing else."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM

from charter.models.generation import GrowingLayer, TokenRequest, TokenResult, sample
from charter.records import Sampling

END = 2
GREEDY = Sampling(max_tokens=12, temperature=0.0)
PROMPTS = [(5, 6, 7), (11, 12, 13, 14, 15, 16, 17, 18), (21,), (31, 32, 33, 34)]


def one(net: Any, ids: tuple[int, ...], sampling: Sampling, seed: int = 0) -> TokenResult:
    return sample(net, [TokenRequest(ids, sampling, seed)], end_ids=[END])[0]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_equals_transformers_own(
    tiny_net: LlamaForCausalLM, prompt: tuple[int, ...]
) -> None:
    # More new tokens than the cache's first buffer holds, so that it has to grow.
    count = 90
    reference = tiny_net.generate(
        torch.tensor([prompt]), max_new_tokens=count, do_sample=False, pad_token_id=0
    )[0, len(prompt) :].tolist()
    ended = reference[-1] == END
    found = one(tiny_net, prompt, Sampling(max_tokens=count, temperature=0.0))
    assert found == TokenResult(reference[:-1] if ended else reference, ended)


SETTINGS = [
    Sampling(max_tokens=10, temperature=1.0),
    Sampling(max_tokens=25, temperature=0.7, top_p=0.9),
    GREEDY,
    Sampling(max_tokens=1, temperature=1.3),
    Sampling(max_tokens=15, temperature=1.0, repetition_penalty=1.5),
]


def test_the_batch_makes_no_difference(tiny_net: LlamaForCausalLM) -> None:
    rows = [
        TokenRequest(prompt, sampling, seed)
        for prompt in PROMPTS
        for seed, sampling in enumerate(SETTINGS)
    ]
    together = sample(tiny_net, rows, end_ids=[END])
    backwards = sample(tiny_net, rows[::-1], end_ids=[END])[::-1]
    apart = [one(tiny_net, tuple(r.ids), r.sampling, r.seed) for r in rows]
    assert together == apart == backwards


def test_the_seed_makes_all_the_difference(tiny_net: LlamaForCausalLM) -> None:
    settings = Sampling(max_tokens=20, temperature=1.0)
    torch.manual_seed(1)
    first = one(tiny_net, PROMPTS[0], settings, seed=7)
    torch.manual_seed(2)
    assert one(tiny_net, PROMPTS[0], settings, seed=7) == first
    different = {tuple(one(tiny_net, PROMPTS[0], settings, seed=s).ids) for s in range(8)}
    assert len(different) == 8


class Scripted:
    """A network that deals out fixed next-token probabilities, whatever it is asked.

    `script` maps the last token to the probabilities of the next one.
    """

    device = torch.device("cpu")

    def __init__(self, script: dict[int, list[float]]) -> None:
        self.script = script
        self.rows: list[int] = []

    def __call__(
        self, input_ids: torch.Tensor, past_key_values: Any, **_: object
    ) -> SimpleNamespace:
        self.rows.append(len(input_ids))
        states = torch.zeros(len(input_ids), 1, input_ids.shape[1], 1)
        past_key_values.update(states, states, 0)
        probs = torch.tensor([self.script[int(row[-1])] for row in input_ids])
        return SimpleNamespace(logits=probs.log()[:, None])


def shares(net: Scripted, sampling: Sampling, draws: int = 2000) -> Counter[int]:
    rows = [TokenRequest((0,), sampling, seed) for seed in range(draws)]
    return Counter(result.ids[0] for result in sample(net, rows, end_ids=[9]))  # type: ignore[arg-type]


def test_samples_follow_the_probabilities() -> None:
    net = Scripted({0: [0.1, 0.2, 0.7]})
    found = shares(net, Sampling(max_tokens=1))
    # Five standard deviations of a binomial share at n = 2000 are at most .056.
    for token, probability in enumerate([0.1, 0.2, 0.7]):
        assert abs(found[token] / 2000 - probability) < 0.056


def test_temperature_sharpens() -> None:
    found = shares(Scripted({0: [0.2, 0.8]}), Sampling(max_tokens=1, temperature=0.5))
    # Squared and normalised: .04 and .64, so 1/17 and 16/17.
    assert abs(found[0] / 2000 - 1 / 17) < 0.027


def test_top_p_keeps_the_smallest_nucleus_that_reaches_it() -> None:
    net = Scripted({0: [0.05, 0.5, 0.15, 0.3]})
    found = shares(net, Sampling(max_tokens=1, top_p=0.75))
    assert set(found) == {1, 3}
    assert abs(found[1] / 2000 - 5 / 8) < 0.056
    assert set(shares(net, Sampling(max_tokens=1, top_p=0.01), 50)) == {1}
    assert set(shares(net, Sampling(max_tokens=1, top_p=0.85))) == {1, 2, 3}


def test_rows_with_different_top_p_do_not_disturb_each_other() -> None:
    net = Scripted({0: [0.6, 0.4]})
    rows = [
        TokenRequest((0,), Sampling(max_tokens=1, top_p=0.5 if seed % 2 else 1.0), seed)
        for seed in range(200)
    ]
    found = sample(net, rows, end_ids=[9])  # type: ignore[arg-type]
    assert {r.ids[0] for r in found[1::2]} == {0}
    assert {r.ids[0] for r in found[::2]} == {0, 1}


def test_rows_that_end_leave_the_batch() -> None:
    def always(token: int) -> list[float]:
        return [1.0 if token == t else 0.0 for t in range(6)]

    # 0 -> 5 (ends); 1 -> 2 -> 5 (ends); 3 -> 3 -> … until its limit.
    net = Scripted({0: always(5), 1: always(2), 2: always(5), 3: always(3)})
    greedy = Sampling(max_tokens=4, temperature=0.0)
    rows = [TokenRequest((token,), greedy, 0) for token in (3, 0, 1)]
    found = sample(net, rows, end_ids=[5])  # type: ignore[arg-type]
    assert found == [
        TokenResult([3, 3, 3, 3], False),
        TokenResult([], True),
        TokenResult([2], True),
    ]
    assert net.rows == [3, 2, 1, 1]


def test_an_end_token_may_be_any_of_several(tiny_net: LlamaForCausalLM) -> None:
    free = one(tiny_net, PROMPTS[0], GREEDY).ids
    stop = next(token for token in free if token != free[0])
    request = TokenRequest(PROMPTS[0], GREEDY, 0)
    found = sample(tiny_net, [request], end_ids=[END, stop])[0]
    assert found == TokenResult(free[: free.index(stop)], True)


def test_a_repetition_penalty_weighs_on_own_tokens_only() -> None:
    # Token 1 leads by a little; once said, a penalty of 2 on its log-probability lets 0 pass.
    net = Scripted({t: [0.45, 0.55] for t in (0, 1)})
    settings = Sampling(max_tokens=2, temperature=0.0, repetition_penalty=2.0)
    found = one(net, (1, 1, 1), settings)
    assert found.ids == [1, 0]


def test_a_growing_cache_holds_what_was_put_in() -> None:
    layer = GrowingLayer()
    parts = [torch.randn(3, 2, length, 4) for length in (5, 1, 70, 1, 1)]
    for part in parts:
        keys, values = layer.update(part, 2 * part)
    torch.testing.assert_close(keys, torch.cat(parts, dim=-2))
    torch.testing.assert_close(values, 2 * torch.cat(parts, dim=-2))
    layer.batch_select_indices(torch.tensor([2, 0]))
    keys, _ = layer.update(parts[1][[2, 0]], parts[1][[2, 0]])
    torch.testing.assert_close(keys, torch.cat([*parts, parts[1]], dim=-2)[[2, 0]])
    assert layer.get_seq_length() == 79
