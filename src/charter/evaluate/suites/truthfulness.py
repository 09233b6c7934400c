"""Truthfulness: the best answer among common falsehoods (TruthfulQA, multiple choice)."""

from __future__ import annotations

from charter.evaluate.loaders import find, truthful
from charter.evaluate.suites.asking import choose
from charter.evaluate.suites.counting import accuracies
from charter.evaluate.suites.sources import Sources
from charter.evaluate.suites.suite import Suite

NAME = "truthfulness"


def build(sources: Sources) -> Suite:
    """BIG-bench's copy of TruthfulQA (Lin et al. 2022)."""
    path = sources.file(NAME) or str(find("eval/bigbench_truthful_qa.json", sources.folder))
    return Suite(
        NAME,
        "A true answer among common falsehoods; how often it is chosen.",
        path,
        tuple(truthful(path)),
        choose,
        (),
        accuracies("truthful"),
    )
