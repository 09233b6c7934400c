"""Shared-prefix scoring gives what scoring each branch alone gives."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import LlamaForCausalLM

from charter.models.scoring import Tree, TreeBatch, batches, lay_out

TREES = [
    Tree((5, 6, 7, 8), ((10, 11), (12,), (13, 14, 15))),
    Tree((9,), ((20, 21, 22, 23, 24, 25),)),
    Tree((3, 4), ((30,), (), (31, 32))),
    Tree((), ((40, 41), (42,))),
]


@torch.inference_mode()
def logits(net: LlamaForCausalLM, batch: TreeBatch) -> torch.Tensor:
    out = net(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids,
        attention_mask=batch.attention_mask,
        use_cache=False,
    )
    return out.logits


@torch.inference_mode()
def alone(net: LlamaForCausalLM, tree: Tree, branch: tuple[int, ...]) -> torch.Tensor:
    """Logits [len(branch), V] of one branch behind its prefix, in a plain causal pass."""
    ids = torch.tensor([[*tree.prefix, *branch]])
    return net(input_ids=ids, use_cache=False).logits[0, len(tree.prefix) :]


def test_tree_attention_equals_scoring_each_branch_alone(tiny_net: LlamaForCausalLM) -> None:
    together = logits(tiny_net, lay_out(TREES))
    for row, tree in enumerate(TREES):
        for branch, span in zip(tree.branches, tree.spans(), strict=True):
            assert span.stop - span.start == len(branch)
            expected = alone(tiny_net, tree, branch)
            torch.testing.assert_close(together[row, span], expected, atol=1e-5, rtol=1e-5)


def test_a_branch_does_not_see_its_siblings(tiny_net: LlamaForCausalLM) -> None:
    """A known answer that could fail: without the mask, the last branch would read the first."""
    tree = TREES[0]
    other = Tree(tree.prefix, ((50, 51), *tree.branches[1:]))
    before, after = (logits(tiny_net, lay_out([t]))[0] for t in (tree, other))
    changed, last = tree.spans()[0], tree.spans()[2]
    torch.testing.assert_close(before[last], after[last], atol=1e-6, rtol=1e-6)
    assert (before[changed] - after[changed]).abs().max() > 0.1
    plain = torch.tensor([[*tree.prefix, *(t for branch in tree.branches for t in branch)]])
    with torch.inference_mode():
        unmasked = tiny_net(input_ids=plain, use_cache=False).logits[0, last]
    assert (before[last] - unmasked).abs().max() > 0.1


def test_rows_do_not_see_each_other_and_padding_is_not_nan(tiny_net: LlamaForCausalLM) -> None:
    together = logits(tiny_net, lay_out(TREES))
    assert together.isfinite().all()
    for row, tree in enumerate(TREES):
        single = logits(tiny_net, lay_out([tree]))
        torch.testing.assert_close(together[row, : len(tree)], single[0], atol=1e-5, rtol=1e-5)


def test_the_layout_of_a_small_tree() -> None:
    batch = lay_out([Tree((7,), ((8,), (9, 10))), Tree((1,), ((2,),))])
    assert batch.input_ids.tolist() == [[7, 8, 9, 10], [1, 2, 0, 0]]
    assert batch.position_ids.tolist() == [[0, 1, 1, 2], [0, 1, 0, 0]]
    assert batch.attention_mask[0, 0].int().tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 0, 1, 0],
        [1, 0, 1, 1],
    ]
    assert batch.attention_mask[1, 0, :2].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0]]


def test_the_length_of_a_tree_counts_the_prefix_once() -> None:
    assert [len(tree) for tree in TREES] == [10, 7, 5, 3]


@pytest.mark.parametrize("limit", [1, 16, 64, 1000])
def test_batches_cover_everything_once_and_keep_the_limit(limit: int) -> None:
    lengths = [random.Random(limit).randint(1, 40) for _ in range(60)]
    groups = list(batches(lengths, max_tokens=limit))
    assert sorted(index for group in groups for index in group) == list(range(60))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[i] for i in group) <= limit
    widest = [max(lengths[i] for i in group) for group in groups]
    assert widest == sorted(widest, reverse=True)


def test_no_lengths_no_batches() -> None:
    assert list(batches([], max_tokens=10)) == []
