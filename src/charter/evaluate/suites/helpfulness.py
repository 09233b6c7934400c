"""Helpfulness: benign prompts, and how often the answer is preferred to the reference's."""

from __future__ import annotations

from charter.evaluate.config import BENIGN, HELPFUL, REFUSAL
from charter.evaluate.loaders import prompts
from charter.evaluate.suites.asking import write
from charter.evaluate.suites.counting import more_helpful, refused
from charter.evaluate.suites.sources import Sources, shipped
from charter.evaluate.suites.suite import Metric, Reading, Suite

NAME = "helpfulness"


def build(sources: Sources) -> Suite:
    """Benign prompts of our own, or of a file."""
    given = sources.file(NAME)
    return Suite(
        NAME,
        "Benign prompts; how often the scorer prefers the answer to the reference model's.",
        given or "library",
        tuple(prompts(given, BENIGN) if given else shipped(BENIGN)),
        write,
        (HELPFUL, REFUSAL),
        (
            Metric("helpful_win_rate", more_helpful),
            Metric("helpful_tie_rate", _tied),
            Metric("over_refusal_benign", refused),
            Metric("mean_tokens", _tokens, kind="mean"),
        ),
    )


def _tied(own: Reading, reference: Reading) -> float | None:
    value = more_helpful(own, reference)
    return None if value is None else float(value == 0.5)


def _tokens(own: Reading, _: Reading) -> float | None:
    return float(own.tokens)
