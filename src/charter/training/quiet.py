"""Keeps what transformers, PEFT and TRL say to each other out of the user's terminal.

Owns which of their notices are dropped: deprecations that concern these libraries among
themselves, bars for weights, and TRL's warning for each sample without a reward (which prints the
sample; rollouts record and count them instead). Everything else passes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from charter.models.hf import quiet_loading


@contextmanager
def quiet() -> Iterator[None]:
    """Silence foreign notices inside the block; serves as a decorator too."""
    talker = logging.getLogger("trl")
    level = talker.level
    talker.setLevel(logging.ERROR)
    try:
        with quiet_loading():
            yield
    finally:
        talker.setLevel(level)
