"""The overoptimisation study in words, tables and charts."""

from __future__ import annotations

from markupsafe import Markup

from charter.statistics.gao import Form
from charter.studies.chart import Series, series_chart
from charter.studies.curve import Curve
from charter.studies.overoptimisation import PROXY, STUDY, Overoptimisation
from charter.studies.sheet import Cell, Sheet, Table, said, spread, spread_columns
from charter.studies.synthetic import Truth

_PATHS: dict[Form, str] = {"best-of-n": "best of n", "rl": "RL"}


def sheet(found: Overoptimisation) -> Sheet:
    """Finding, limits and tables."""
    finding = [_sentence(curve) for curve in found.curves if curve.scorer != PROXY]
    finding += [_recovered(truth, _curve_of(found, truth)) for truth in found.truths]
    return Sheet(STUDY, finding, _limits(found), [_points(found), _fits(found)])


def charts(found: Overoptimisation) -> dict[str, Markup]:
    """Gain by distance, one picture a path."""
    pictures = {}
    for form, name in _PATHS.items():
        lines: dict[str, Series] = {
            curve.scorer: [(point.distance, point.value) for point in curve.points]
            for curve in found.curves
            if curve.form == form
        }
        if lines:
            picture = series_chart(lines, "distance from the start policy, √KL", "gain")
            pictures[f"{name}: gain over the start policy, with 95 % intervals"] = picture
    return pictures


def _sentence(curve: Curve) -> str:
    """What one held-out scorer says of one path."""
    last = curve.points[-1]
    start = (
        f"{_PATHS[curve.form]}, measured by {curve.scorer}: at the end of the path "
        f"(KL {last.kl:.2f} nats) the gain is {said(last.value, ' sd')}."
    )
    if curve.fit is None:
        return f"{start} There are too few points for a curve."
    if curve.verdict == "past":
        assert curve.peak is not None
        where = f"√KL = {curve.peak.value:.2f}" if curve.peak.value else "the start itself"
        return f"{start} Past the peak, which lies at {where}: optimise less than this."
    if curve.verdict == "before":
        return f"{start} No peak before the end: the proxy was not overoptimised this far."
    return f"{start} Whether the peak is passed cannot be told from this many prompts."


def _recovered(truth: Truth, curve: Curve) -> str:
    pairs = [("α", truth.alpha, curve.alpha), ("β", truth.beta, curve.beta)]
    parts = [
        f"{name} {rate.value:.3f} for {true:.3f} ({rate.value / true - 1:+.1%})"
        for name, true, rate in pairs
        if rate is not None
    ]
    if curve.peak is not None and curve.peak.value is not None:
        off = curve.peak.value / truth.peak - 1
        parts.append(f"d* {curve.peak.value:.3f} for {truth.peak:.3f} ({off:+.1%})")
    return f"Known curve, {_PATHS[truth.form]}: found {', '.join(parts)}."


def _curve_of(found: Overoptimisation, truth: Truth) -> Curve:
    return next(c for c in found.curves if c.form == truth.form and c.scorer != PROXY)


def _points(found: Overoptimisation) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (curve.form, curve.scorer, p.setting, p.kl, p.distance, *spread(p.value))
        for curve in found.curves
        for p in curve.points
    ]
    columns = ("path", "scorer", "n_or_step", "kl", "distance", *spread_columns("gain"))
    return Table("points", columns, rows)


def _fits(found: Overoptimisation) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for c in found.curves:
        peak = (c.peak.value, c.peak.low, c.peak.high) if c.peak else (None,) * 3
        r2 = None if c.fit is None else c.fit.r2
        rows.append(
            (c.form, c.scorer, *spread(c.alpha)[:3], *spread(c.beta)[:3], *peak, r2, c.verdict)
        )
    names = [n for name in ("alpha", "beta", "peak") for n in spread_columns(name)[:3]]
    return Table("fits", ("path", "scorer", *names, "r2", "verdict"), rows)


def _limits(found: Overoptimisation) -> list[str]:
    counted = ", ".join(f"{name} {count}" for name, count in found.unscored.items())
    lines = [
        "Best of n and RL must not be compared at the same KL: they spend it differently.",
        "KL of best of n, ln n - (n - 1)/n, is exact where no two answers score the same, and an "
        "upper bound elsewhere.",
        "The forms are Gao's, fitted by least squares; a peak beyond the last point is an "
        "extrapolation, shown as a dash where it is out of sight.",
        "Intervals are 95 %, by drawing prompts: they speak of other prompts of the same kind, "
        "not of other scorers.",
        f"{found.prompts} prompts counted, {found.left_out} left out with fewer than half of "
        f"their answers read; {found.samples} answers, unscored: {counted or 'none'}.",
    ]
    if found.mode == "synthetic":
        return [*lines, "Synthetic: no model was run. This tests the study, not a policy."]
    if found.rl_unscored:
        missing = ", ".join(f"{name} {count}" for name, count in found.rl_unscored.items())
        lines.append(f"RL samples without a reading or a KL: {missing}. One training, one seed.")
    return [
        *lines,
        "A held-out scorer is a scorer, not a person: what both it and the proxy like wrongly "
        "does not show.",
    ]
