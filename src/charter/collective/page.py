"""The report: one HTML file that needs nothing but itself.

Owns what is shown and how numbers are written. Statements are what strangers wrote: the template
escapes all text, and the page's content policy runs no script and loads nothing.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from charter.collective.consensus import GroupVotes, Statement
from charter.collective.conversation import Conversation
from charter.collective.opinion_map import HEIGHT, WIDTH, opinion_map
from charter.collective.stage import Outcome
from charter.statistics import Rate

_PAGES = Environment(
    loader=PackageLoader("charter.collective"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(outcome: Outcome, conversation: Conversation) -> str:
    """The whole page. The same outcome gives the same text."""
    collected = outcome.collected
    listed = collected.statements
    bar = collected.config.threshold
    return _PAGES.get_template("report.html").render(
        c=collected,
        map=opinion_map(outcome.plane, outcome.grouping, conversation.texts, collected.config.seed),
        width=WIDTH,
        height=HEIGHT,
        selected=[s for s in listed if s.selected],
        divisive=sorted((s for s in listed if s.divisive), key=lambda s: (-gap(s), s.id)),
        rejected=sorted(
            (s for s in listed if s.gac_against >= bar), key=lambda s: (-s.gac_against, s.id)
        ),
        percent=_percent,
        interval=_interval,
        shares=_shares,
    )


def gap(statement: Statement) -> float:
    """How far apart the groups stand: the largest difference of their shares of agreement."""
    shares = [votes.rate.value for votes in statement.by_group if votes.seen]
    return max(shares) - min(shares) if shares else 0.0


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _interval(rate: Rate) -> str:
    return f"{100 * rate.low:.0f} to {100 * rate.high:.0f} %"


def _shares(votes: GroupVotes) -> tuple[tuple[str, str, str], ...]:
    """Start, width and class of each part of a bar 100 wide."""
    parts, start = [], 0.0
    for count, style in ((votes.agree, "yes"), (votes.passed, "pass"), (votes.disagree, "no")):
        width = 100 * count / votes.seen if votes.seen else 0.0
        parts.append((f"{start:.1f}", f"{width:.1f}", style))
        start += width
    return tuple(parts)
