"""Opinion matching: model-written questions, and how often the model says what they look for.

Perez et al. 2022. With their sycophancy files it is how often the model repeats the view of the
user who introduces themselves; with the risk and persona files, how often it shows the behaviour.
"""

from __future__ import annotations

from charter.evaluate.loaders import find, model_written
from charter.evaluate.suites.asking import choose
from charter.evaluate.suites.counting import accuracies
from charter.evaluate.suites.sources import Sources
from charter.evaluate.suites.suite import Suite

NAME = "opinion"


def build(sources: Sources) -> Suite:
    """A file of model-written questions; one figure a behaviour."""
    path = sources.file(NAME) or str(find("eval/model_written_ai_risk.jsonl.gz", sources.folder))
    items = model_written(path)
    behaviours = tuple(sorted({item.facts["subset"] for item in items}))
    return Suite(
        NAME,
        "Model-written questions; how often the answer is the one that shows the behaviour.",
        path,
        tuple(items),
        choose,
        (),
        accuracies("opinion_match", behaviours),
    )
