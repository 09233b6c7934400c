"""Likelihoods of options, read off a server's lists of the most likely next tokens.

Owns what such lists can say and what they cannot. They have twenty entries at most, and tokens as
text: how the server cuts an option into tokens is not known, and where options begin alike, how
the text goes on is listed along one path only. Pure: knows no server.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

NEVER = -math.inf
_DEEPEST = 8
"""Tokens that are read at most, where options begin alike."""


@dataclass(frozen=True, slots=True)
class Position:
    """One place of an answer: the token that was written, and what might have been."""

    written: str
    top: Sequence[tuple[str, float]]
    """Tokens and their natural log-probabilities."""


def depth(options: Sequence[str]) -> int:
    """Tokens that must be listed to tell the options apart: one, unless they begin alike."""
    shared = max((_shared(one, other) for one, other in combinations(options, 2)), default=0)
    return min(1 + shared, _DEEPEST)


def option_logprobs(answer: Sequence[Position], options: Sequence[str]) -> list[float]:
    """Log-probability that an answer begins with each option.

    Args:
        answer: its first places, at least one.
        options: what may be answered; distinct, none empty.

    Returns:
        one number an option, spellings with and without a space in front added up. Options that
        the lists cannot tell apart have the same number. An option that is not listed gets the
        most that it could have (the last entry of the list, or what the list leaves over), so
        nobody looks more certain than the list shows; minus infinity if no option is listed: the
        model was saying something else.
    """
    trimmed = [
        Position(a.written.lstrip(), [(t.lstrip(), p) for t, p in a.top]) for a in answer[:1]
    ]
    found = _read([*trimmed, *answer[1:]], options)
    if all(p == NEVER for p in found):
        return found
    most = _at_most([p for _, p in answer[0].top])
    missing = [o for o, p in zip(options, found, strict=True) if p == NEVER]
    # Two missing options that begin alike would look like two that cannot be told apart.
    alike = {
        o for one, other in combinations(missing, 2) if one[0] == other[0] for o in (one, other)
    }
    return [
        most if p == NEVER and o not in alike else p for o, p in zip(options, found, strict=True)
    ]


def _read(answer: Sequence[Position], options: Sequence[str]) -> list[float]:
    here, *following = answer
    whole = {token.rstrip() for token, _ in here.top}
    found: dict[str, list[float]] = {option: [] for option in options}
    for token, p in here.top:
        text = token.rstrip() if token.rstrip() in options else token
        meant = [option for option in options if text and option.startswith(text)]
        rest = {option: option[len(text) :] for option in meant if option != text}
        if text in options and (not rest or all(option in whole for option in rest)):
            found[text].append(p)
        elif len(meant) > 1 and following and text == here.written.rstrip():
            _go_on(found, text, p, rest, _read(following, list(rest.values())))
        else:
            for option in meant:
                found[option].append(p)
    return [_total(found[option]) for option in options]


def _go_on(
    found: dict[str, list[float]], text: str, p: float, rest: dict[str, str], after: Sequence[float]
) -> None:
    """Share the likelihood of a common beginning among its continuations."""
    for option, more in zip(rest, after, strict=True):
        found[option].append(p + more)
    if text in found:
        left = 1.0 - sum(math.exp(more) for more in after)
        found[text].append(p + math.log(left) if left > 0.0 else NEVER)


def _shared(one: str, other: str) -> int:
    """Characters that two texts have in common at their beginnings."""
    alike = (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(alike, min(len(one), len(other)))


def _at_most(listed: Sequence[float]) -> float:
    rest = 1.0 - sum(math.exp(p) for p in listed)
    return min(math.log(rest) if rest > 0.0 else NEVER, *listed)


def _total(logprobs: Sequence[float]) -> float:
    top = max(logprobs, default=NEVER)
    return top if top == NEVER else top + math.log(sum(math.exp(p - top) for p in logprobs))
