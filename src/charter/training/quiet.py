"""Keeps what transformers, PEFT and TRL say to each other out of the user's terminal.

Owns which of their notices are dropped: deprecations that concern these libraries among
themselves, bars for weights, and TRL's warning for each sample without a reward (which prints the
sample; rollouts record and count them instead). Everything else passes.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from charter.models.hf import quiet_loading

_FOREIGN = r"(transformers|peft|trl|accelerate)(\.|$)"


@contextmanager
def quiet() -> Iterator[None]:
    """Silence foreign notices inside the block; serves as a decorator too."""
    talker = logging.getLogger("trl")
    level = talker.level
    talker.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), quiet_loading():
            warnings.filterwarnings("ignore", category=FutureWarning, module=_FOREIGN)
            yield
    finally:
        talker.setLevel(level)
