"""How likely a local model finds an answer: mean log-probability of its tokens.

Answers to one conversation share one pass over it; the vocabulary head is applied to the answers'
positions alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from charter.models.hf import HFModel
from charter.models.scoring import Tree, batches, lay_out
from charter.records import Message

_MAX_CONTEXT, _MAX_ANSWER = 1024, 512
"""Tokens kept of a conversation (the last ones) and of an answer (the first ones)."""


@torch.inference_mode()
def mean_logprobs(
    model: HFModel, exchanges: Sequence[tuple[tuple[Message, ...], str]]
) -> list[float]:
    """Mean natural log-probability a token of each answer after its conversation.

    Args:
        model: the model that is asked.
        exchanges: conversations that end with the user's turn, each with an answer. An empty
            answer is taken as one token that ends the turn.
    """
    answers: dict[tuple[Message, ...], dict[str, float]] = {}
    for messages, answer in exchanges:
        answers.setdefault(messages, {})[answer] = 0.0
    trees = [_tree(model, messages, texts) for messages, texts in answers.items()]
    places = list(answers)
    for group in batches([len(tree) for tree in trees], max_tokens=model.batch_tokens):
        for index, means in zip(group, _means(model, [trees[i] for i in group]), strict=True):
            answers[places[index]] = dict(zip(answers[places[index]], means, strict=True))
    return [answers[messages][answer] for messages, answer in exchanges]


def _tree(
    model: HFModel, messages: Sequence[Message], texts: Sequence[str] | dict[str, float]
) -> Tree:
    stem = model.render(messages)
    if len(stem) > _MAX_CONTEXT:
        stem = [*stem[:1], *stem[-_MAX_CONTEXT:]]
    branches = (model.encode(text)[:_MAX_ANSWER] or model.end_ids()[:1] for text in texts)
    return Tree(tuple(stem), tuple(tuple(branch) for branch in branches))


def _means(model: HFModel, trees: Sequence[Tree]) -> list[list[float]]:
    batch = lay_out(trees, model.device)
    hidden = model.backbone()(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids,
        attention_mask=batch.attention_mask,
        use_cache=False,
    ).last_hidden_state
    head = model.net.get_output_embeddings()
    found = []
    for row, tree in enumerate(trees):
        means = []
        for span in tree.spans():
            # A branch's first token is predicted at the end of the prefix, not of its sibling.
            before = [len(tree.prefix) - 1, *range(span.start, span.stop - 1)]
            logprobs = head(hidden[row, before]).float().log_softmax(-1)
            targets = batch.input_ids[row, span]
            means.append(float(logprobs.gather(1, targets[:, None]).mean()))
        found.append(means)
    return found
