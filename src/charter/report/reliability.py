"""Reliability plots from the bins that stages leave in their manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from charter.report.charts import Bin, reliability_plot
from charter.report.exhibit import Exhibit, slug
from charter.report.figures import rate_in
from charter.statistics import Rate, wilson


def reliability_of(bins: Any, said: str, found: str) -> Exhibit | None:
    """The plot of a list of bins, or None if there is no such list.

    Args:
        bins: mappings with `mean_p`, `n` and `rate`, which is a rate or a plain share.
        said: title of the axis of predictions.
        found: title of the axis of observations.
    """
    usable = [b for b in map(_bin, bins if isinstance(bins, list) else []) if b is not None]
    if not usable:
        return None
    rows = [(b.mean_p, b.rate.value, b.rate.low, b.rate.high, b.rate.n) for b in usable]
    columns = (said, found, "low", "high", "n")
    return Exhibit(slug(said), columns, [*rows], reliability_plot(usable, said, found))


def _bin(entry: Any) -> Bin | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("mean_p"), int | float):
        return None
    rate = _rate(entry.get("rate"), entry.get("n"))
    return None if rate is None or not rate.n else Bin(float(entry["mean_p"]), rate)


def _rate(rate: Any, n: Any) -> Rate | None:
    if isinstance(rate, int | float) and isinstance(n, int):
        return wilson(rate * n, n)
    return rate_in(rate)
