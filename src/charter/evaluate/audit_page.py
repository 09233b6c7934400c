"""The audit as one HTML file that needs nothing but itself.

Texts of models and of red teams are data: autoescape is on, examples stand in closed details, and a
content policy in the page allows no script and loads nothing, should one slip through.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from charter.evaluate.audit import Audit
from charter.statistics import Rate

_PAGES = Environment(
    loader=PackageLoader("charter.evaluate"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(found: Audit) -> str:
    """The page."""
    return _PAGES.get_template("audit.html").render(
        audit=found, rate=_rate, points=_points, verdict=_verdict
    )


def _rate(rate: Rate | None) -> str:
    """A share with its interval and n; a dash where nothing was counted."""
    if rate is None or not rate.n:
        return "–"
    return f"{rate.value:.0%} [{rate.low:.0%}, {rate.high:.0%}] of {rate.n}"


def _points(rate: Rate) -> str:
    return f"{rate.value:+.0%} [{rate.low:+.0%}, {rate.high:+.0%}]"


def _verdict(violates: bool | None) -> str:
    return {True: "violates", False: "keeps", None: "unscored"}[violates]
