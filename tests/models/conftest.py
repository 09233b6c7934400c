"""A network small enough to be compared with the slow and obvious way of doing a thing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from .faulty_server import FaultyServer, serving

VOCABULARY = 97


@pytest.fixture(scope="session")
def tiny_net() -> LlamaForCausalLM:
    """A random Llama: 2 layers, 32 wide, 4 heads over 2 key/value heads, float32."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        # Wide weights make the next token depend on the whole context, as in a trained network.
        initializer_range=0.25,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    """An endpoint on loopback that works until a test plans faults."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-secret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-planted-secret")
    with serving() as running:
        yield running
