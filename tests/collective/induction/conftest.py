"""Pairs with planted rules, and the files of Inverse Constitutional AI."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from charter.collective.induction.preferences import Preferences
from charter.records import Comparison, Message, Origin, Prompt, digest
from charter.seeds import draws

SYNTHETIC = {
    "aligned": "synthetic_data_aligned_vqvtb.csv",
    "orthogonal": "synthetic_data_orthogonal_adcbg.csv",
    "mixed": "synthetic_data_mixed_vqvtb_adcbg.csv",
}
_FILL = ["stone", "river", "cloud", "lamp", "paper", "window", "garden", "letter", "bread"]


def compared(a: str, b: str, question: str = "What now?") -> Comparison:
    prompt = Prompt(f"p-{digest(question)}", (Message("user", question),))
    return Comparison(f"pair-{digest([question, a, b])}", prompt, a, b, Origin("test", "nobody"))


def preferred(pairs: Sequence[tuple[Comparison, int]], name: str = "planted.csv") -> Preferences:
    comparisons, signs = zip(*pairs, strict=True)
    mark = digest([[c.a, c.b, s] for c, s in pairs])
    return Preferences(name, tuple(comparisons), tuple(signs), {}, mark)


def told(better: str, worse: str, number: int, question: str) -> tuple[Comparison, int]:
    """A pair of texts with one word each that matters, in a random order."""
    source = draws("told", better, number)
    good, bad = (
        " ".join([*source.sample(_FILL, 5), word, *source.sample(_FILL, 5)])
        for word in (better, worse)
    )
    turned = source.random() < 0.5
    return compared(bad if turned else good, good if turned else bad, question), 1 - 2 * turned


@pytest.fixture
def noise() -> Callable[[int, int], Preferences]:
    """Makes so many pairs, from a seed, of which nothing decides which one is preferred."""

    def made(count: int, seed: int) -> Preferences:
        source = draws("noise", seed)
        pairs = []
        for number in range(count):
            a, b = (" ".join(source.choices(_FILL, k=source.randrange(8, 20))) for _ in range(2))
            pairs.append((compared(a, b, f"question {number % 5}"), source.choice((1, -1))))
        return preferred(pairs)

    return made


@pytest.fixture
def planted() -> Preferences:
    """Two rules on forty pairs: rather "oak" than "pine", and rather "tea" than "rum"."""
    oak = [told("oak", "pine", n, "Which tree?") for n in range(20)]
    tea = [told("tea", "rum", n, "Which drink?") for n in range(20)]
    return preferred([*oak, *tea])


@pytest.fixture
def icai() -> dict[str, Path]:
    """The three synthetic files, by name."""
    beside = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("CHARTER_DATA") or beside) / "icai_synthetic"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: set CHARTER_DATA to the folder of public data")
    return {name: folder / file for name, file in SYNTHETIC.items()}
