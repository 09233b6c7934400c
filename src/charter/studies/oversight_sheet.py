"""The oversight study in words, tables and charts."""

from __future__ import annotations

from markupsafe import Markup

from charter.studies.chart import Series, series_chart
from charter.studies.oversight import STUDY, Break, Cell, Oversight
from charter.studies.sheet import Cell as TableCell
from charter.studies.sheet import Sheet, Table, said, spread, spread_columns

_RATES = ("label", "before", "after", "ceiling", "gain", "recovered")


def sheet(found: Oversight) -> Sheet:
    """Finding, limits and tables."""
    finding = [_where(one) for one in found.breaks]
    finding += [_weaker(policy.policy.name, found) for policy in found.breaks]
    return Sheet(STUDY, finding, _limits(found), [_grid(found), _breaks(found)])


def charts(found: Oversight) -> dict[str, Markup]:
    """Gain by accuracy of the label, a line a policy."""
    lines: dict[str, Series] = {}
    for one in found.breaks:
        cells = [cell for cell in found.cells if cell.policy == one.policy]
        points = sorted((cell.label.value, cell.gain) for cell in cells)
        lines[one.policy.name] = [(x, gain) for x, gain in points]
    picture = series_chart(lines, "accuracy of the labels", "gain of the policy")
    return {"Gain of the policy by accuracy of the labels, with 95 % intervals": picture}


def _where(one: Break) -> str:
    start = f"Policy that knew {one.policy.pairs} pairs beforehand:"
    if one.accuracy is None:
        return f"{start} where labels stop helping cannot be told ({one.reason})."
    return f"{start} labels stop helping below an accuracy of {said(one.accuracy)}."


def _weaker(policy: str, found: Oversight) -> str:
    """What judges do that are weaker than the policy was beforehand."""
    cells = [cell for cell in found.cells if cell.policy.name == policy]
    weaker = [cell for cell in cells if cell.label.high < cell.before.value]
    if not weaker:
        return f"{policy}: no judge of the grid is clearly weaker than this policy."
    helped, harmed = sum(c.gain.low > 0 for c in weaker), sum(c.gain.high < 0 for c in weaker)
    return (
        f"{policy}: of {len(weaker)} judges that are clearly weaker than the policy, {helped} "
        f"clearly helped, {harmed} clearly harmed, for the rest it cannot be told. {_best(cells)}"
    )


def _best(cells: list[Cell]) -> str:
    known = [cell for cell in cells if cell.recovered is not None]
    if not known:
        return "The gap recovered cannot be told for any judge."
    best = max(known, key=lambda cell: cell.recovered.value if cell.recovered else 0.0)
    return f"Most of the gap is recovered with {best.judge.name}: {said(best.recovered)}."


def _grid(found: Oversight) -> Table:
    rows: list[tuple[TableCell, ...]] = []
    for cell in found.cells:
        rates = [part for name in _RATES for part in spread(getattr(cell, name))[:3]]
        rows.append((cell.judge.name, cell.policy.name, *rates, cell.label.n))
    names = [part for name in _RATES for part in spread_columns(name)[:3]]
    return Table("grid", ("judge", "policy", *names, "prompts"), rows)


def _breaks(found: Oversight) -> Table:
    rows: list[tuple[TableCell, ...]] = [
        (one.policy.name, *spread(one.accuracy)[:3], one.reason) for one in found.breaks
    ]
    columns = ("policy", *spread_columns("stops_helping_below")[:3], "reason")
    return Table("breaks", columns, rows)


def _limits(found: Oversight) -> list[str]:
    return [
        f"{found.pairs} pairs of {found.prompts} prompts from {found.source}, read with "
        f"{found.model}; {found.ties} ties left out.",
        "Judge and policy are readouts that order two given answers. A policy that writes answers "
        "of its own may learn more, or worse things, from the same labels.",
        "All views come from the same answers, and most from the same model, so judge and policy "
        "err together more than a person and a model would.",
        "Directions of a view were chosen without labels, on all pairs, those of the test too.",
        "Intervals are 95 %, by drawing prompts; the splits are averaged, not drawn. The gap "
        "recovered is left out where the ceiling is not clearly above the label.",
        "Many cells are compared at once: one in forty clear gains, and harms, is chance.",
    ]
