"""Does a judge favour what its own model would have said?

The share of verdicts for the answer that the judge's model finds more likely, per token, so that
length does not decide. A judge with a taste of its own is above one half; but likely answers can
also be the better ones, and labels of a run have no truth to tell: the figure is a warning only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from charter.records import Labelled, Message, Verdict
from charter.statistics import Rate, wilson

Likelihood = Callable[[Sequence[tuple[tuple[Message, ...], str]]], Sequence[float]]
"""Mean log-probability a token of each answer, given its conversation."""


def self_preference(records: Iterable[Labelled], likelihood: Likelihood, *, limit: int) -> Rate:
    """Measured on the first `limit` verdicts; ties count one half.

    Args:
        records: a labelling run's.
        likelihood: the judge's own model.
        limit: verdicts to look at, since each costs a pass over both answers.
    """
    verdicts = ((r.comparison, r.label.p_a) for r in records if isinstance(r.label, Verdict))
    chosen = list(islice(verdicts, limit))
    found = likelihood([(c.prompt.messages, text) for c, _ in chosen for text in (c.a, c.b)])
    gaps = (a - b for a, b in zip(found[::2], found[1::2], strict=True))
    won = sum(_win((p_a - 0.5) * gap) for (_, p_a), gap in zip(chosen, gaps, strict=True))
    return wilson(won, len(chosen))


def _win(margin: float) -> float:
    return 0.5 if margin == 0 else float(margin > 0)
