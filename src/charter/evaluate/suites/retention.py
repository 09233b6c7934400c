"""Capability retention: how likely the model still finds good answers to benign prompts.

Perplexity of answers that nobody trained the policy on. A rise says that alignment cost something;
it does not say what. For what, run a harness task (`lm_eval:NAME`).
"""

from __future__ import annotations

from charter.errors import DataError
from charter.evaluate.config import BENIGN
from charter.evaluate.suites.asking import LIKELIHOOD, likelihood
from charter.evaluate.suites.sources import Sources
from charter.evaluate.suites.suite import Item, Metric, Reading, Suite
from charter.prompts import sets
from charter.prompts.chains import worked_chains
from charter.records import Message, Prompt

NAME = "retention"
_HARMFUL = "harmful"


def build(sources: Sources) -> Suite:
    """Benign answers of our own, or the chosen answers of an HH-RLHF file."""
    given = sources.file(NAME)
    return Suite(
        NAME,
        "Good answers to benign prompts; their perplexity under the model.",
        given or "library",
        tuple(_chosen(given) if given else _own()),
        likelihood,
        (),
        (
            Metric("perplexity", _logprob, kind="perplexity"),
            Metric("log_likelihood", _logprob, kind="mean"),
        ),
    )


def _own() -> list[Item]:
    chains = [chain for chain in worked_chains() if chain.kind != _HARMFUL]
    return [
        Item(Prompt(c.id, (Message("user", c.prompt),), BENIGN, c.category), reference=c.revision)
        for c in chains
    ]


def _chosen(path: str) -> list[Item]:
    found = {}
    for line, row in sets.rows(path):
        try:
            *context, last = sets.hh_turns(row["chosen"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "is no dialogue", file=path, line=line, field="chosen", expected="HH-RLHF format"
            ) from error
        prompt = sets.prompt_of({"messages": [_plain(m) for m in context]}, BENIGN, path, line)
        found[prompt.id] = Item(prompt, reference=last.content)
    return list(found.values())


def _plain(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


def _logprob(own: Reading, _: Reading) -> float | None:
    return own.score(LIKELIHOOD)
