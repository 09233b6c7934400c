"""Sampling with our token loop against transformers' own `generate`, side by side in one run.

    python benchmarks/generation.py [--json] [--rows 48] [--tokens 64] [--repeats 3]

Same model, same prompts, same number of new tokens (the end token is ignored by both, so that
both do the same work). The ratio is what counts; tokens a second depend on the machine. The
fraction compares with the machine's own matrix-product rate, measured in the same process: two
floating-point operations a weight and token.
"""

from __future__ import annotations

import argparse
import json

import torch
from machine import matmul_rate, seconds, weights

from charter.models import hf
from charter.models.generation import TokenRequest, sample
from charter.records import Message, Sampling

QUESTIONS = (
    "How does a bicycle stay upright?",
    "Write three lines about rain on a tin roof.",
    "What should I cook with rice, beans and one onion?",
    "Explain to a child why the moon changes its shape over a month.",
)


def measure(rows: int, tokens: int, repeats: int) -> dict[str, float]:
    """Both ways on the embedded model."""
    model = hf.load("embedded")
    prompts = [model.render([Message("user", QUESTIONS[i % len(QUESTIONS)])]) for i in range(rows)]
    ours = [TokenRequest(ids, Sampling(max_tokens=tokens), i) for i, ids in enumerate(prompts)]
    width = max(map(len, prompts))
    pad = int(model.tokenizer.pad_token_id)
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])

    def theirs() -> object:
        return model.net.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=True,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            pad_token_id=pad,
        )

    def mine() -> object:
        return sample(model.net, ours, end_ids=[])

    theirs(), mine()
    rate = matmul_rate()
    mine_s, theirs_s = seconds(mine, repeats), seconds(theirs, repeats)
    generated = rows * tokens
    return {
        "speedup": theirs_s / mine_s,
        "tokens_per_second": generated / mine_s,
        "tokens_per_second_transformers": generated / theirs_s,
        "matmul_gflops": rate / 1e9,
        "matmul_fraction": 2 * weights(model.net) * generated / mine_s / rate,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with hf.quiet_loading():
        found = measure(options.rows, options.tokens, options.repeats)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:32} {value:10.2f}")


if __name__ == "__main__":
    main()
