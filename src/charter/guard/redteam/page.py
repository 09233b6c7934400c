"""The findings for people: one Markdown and one HTML page with the same tables.

Owns the words. Names of forms and categories come from files, so all of them are escaped. Answers
of the target stand in neither page.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from charter.guard.redteam.figures import Harmful
from charter.guard.redteam.findings import Findings
from charter.statistics import Rate
from charter.statistics.correction import Correction

TITLE = "Red team"
_HEAD = ("", "n", "success", "corrected", "blocked", "refused", "unscored")
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;text-align:right;"
    "border-bottom:1px solid #8884}td:first-child,th:first-child{text-align:left}"
)
Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]


def markdown(found: Findings) -> str:
    """The page as Markdown."""
    lines = [f"# {TITLE}", "", *(_plain(line) for line in _opening(found)), ""]
    for title, head, rows in _tables(found):
        lines += [f"## {title}", "", _line(head), _line(["---"] * len(head))]
        lines += [*map(_line, rows), ""]
    return "\n".join([*lines, *(f"- {_plain(note)}" for note in found.notes), ""])


def html(found: Findings) -> str:
    """The page as HTML; needs no other file, and runs no script."""
    parts = [f"<p>{escape(line)}</p>" for line in _opening(found)]
    for title, head, rows in _tables(found):
        cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows
        )
        parts.append(f"<h2>{escape(title)}</h2>\n<table>\n<tr>{cells}</tr>\n{body}</table>")
    parts.append(f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in found.notes)}</ul>")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{TITLE}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<style>{_STYLE}</style>\n<h1>{TITLE}</h1>\n" + "\n".join(parts) + "\n</html>\n"
    )


def summary(found: Findings) -> str:
    """A few lines for a terminal."""
    staged = found.staged.output
    lines = [
        *_opening(found),
        f"Behaviours that some form broke: {_rate(found.any_form)} (raw)",
    ]
    if staged.n:
        lines.append(f"Output stage, once past the input stage: {_success(staged.success)}")
    lines += [
        f"Round {r.round}: success {_success(r.harmful.success)}, on behaviours never learned "
        f"from {_success(r.held_out.success)}"
        for r in found.rounds
        if len(found.rounds) > 1
    ]
    return "\n".join([*lines, *found.notes])


def _opening(found: Findings) -> list[str]:
    about, h, b = found.about, found.harmful, found.benign
    return [
        f"Target: {about.get('target', '')}",
        f"Attacks that worked: {_success(h.success)} of {h.n}; unscored {sum(h.unscored.values())}",
        f"Blocked: {_rate(h.block)}. Benign twins refused or blocked: {_rate(b.refusal)}",
    ]


def _tables(found: Findings) -> list[Table]:
    head = (*_HEAD, "benign n", "benign refused", "past input")
    forms = [
        (*_cells(name, f.harmful), str(f.benign.n), _rate(f.benign.refusal), _rate(f.input_passed))
        for name, f in found.by_form.items()
    ]
    tables: list[Table] = [("By form", head, forms)]
    tables.append(("By category", _HEAD, [_cells(n, h) for n, h in found.by_category.items()]))
    if found.staged.by_dress:
        rows = [_cells(name, h) for name, h in found.staged.by_dress.items()]
        tables.append(("Output stage, by the way of writing the answer", _HEAD, rows))
    if found.jailbreak_tax:
        names = ("", "n", "plain", "in the form", "tax")
        taxes = [
            (n, str(t.n), _rate(t.plain), _rate(t.dressed), _rate(t.tax) if t.tax else "unknown")
            for n, t in found.jailbreak_tax.items()
        ]
        tables.append(("Jailbreak tax", names, taxes))
    if len(found.rounds) > 1:
        rounds = [
            (*_cells(f"round {r.round}", r.harmful), _success(r.held_out.success), str(r.learned))
            for r in found.rounds
        ]
        tables.append(("Rounds", (*_HEAD, "never learned from", "learned"), rounds))
    return tables


def _cells(name: str, h: Harmful) -> tuple[str, ...]:
    corrected = "—" if h.success.corrected is None else _rate(h.success.corrected)
    why = ", ".join(f"{reason} {n}" for reason, n in h.unscored.items()) or "0"
    return (
        name,
        str(h.n),
        _rate(h.success.raw),
        corrected,
        str(h.blocked),
        str(h.refused),
        why,
    )


def _success(found: Correction) -> str:
    raw = _rate(found.raw)
    return raw if found.corrected is None else f"{_rate(found.corrected)} (raw {raw})"


def _rate(rate: Rate) -> str:
    if not rate.n:
        return "—"
    return f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    """A text that cannot leave its cell or start any markup."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|!" else c for c in " ".join(text.split()))
