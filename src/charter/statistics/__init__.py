"""Figures with intervals. The two names that everyone needs stand here; the rest in its module."""

from charter.statistics.rate import Rate, wilson

__all__ = ["Rate", "wilson"]
