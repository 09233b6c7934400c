"""What `charter constitution lint`, `diff` and `charter show CLAUSE` show on a terminal.

Clauses are text that people wrote: nothing in them is read as markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from charter.constitution.dependence import Dependence
from charter.constitution.diff import Diff, FieldChange, PrincipleChange
from charter.constitution.findings import Finding
from charter.constitution.lint import count

if TYPE_CHECKING:  # pulls in torch, which a list of findings does not need
    from charter.impact import RelabelCost

_STYLES = {"=": "", "-": "red strike", "+": "green"}
_MOST_ROWS = 3


def show_findings(findings: Sequence[Finding]) -> None:
    """A line a finding, as compilers write them, and how many there are."""
    console = Console()
    for finding in findings:
        colour = "red" if finding.severity == "error" else "yellow"
        about = f" {finding.principle}:" if finding.principle else ""
        console.print(
            f"{escape(finding.file)}:{finding.line}: [{colour}]{finding.severity}[/] "
            f"{finding.code}:{escape(about)} {escape(finding.message)}",
            soft_wrap=True,
            highlight=False,
        )
        for row in finding.evidence.get("rows", ())[:_MOST_ROWS]:
            cells = (f"{key} {value}" for key, value in row.items())
            console.print(escape(f"    {', '.join(cells)}"), soft_wrap=True, highlight=False)
    totals = count(findings)
    console.print(f"{totals['errors']} errors, {totals['advice']} pieces of advice")


def show_diff(found: Diff) -> None:
    """Every change of a clause, with its words; then categories and the document itself."""
    console = Console()
    a, b = found.a, found.b
    heads = (f"{side.name} {side.version} ({side.digest})" for side in (a, b))
    console.print(escape(" → ".join(heads)), soft_wrap=True, highlight=False)
    for change in found.principles:
        console.print(_head(change), highlight=False)
        for field in change.fields:
            console.print(_field(field), soft_wrap=True, highlight=False)
    for category in found.categories:
        line = f"category {category.id} ({category.half}): {category.kind}"
        console.print(escape(line), highlight=False)
        for field in category.fields:
            console.print(_field(field), soft_wrap=True, highlight=False)
    for field in found.document:
        console.print(_field(field), soft_wrap=True, highlight=False)
    console.print(f"{len(found.principles)} principles changed, {found.unchanged} did not")


def show_dependence(found: Dependence, old: str) -> None:
    """What of a run depends on the changes."""
    console = Console()
    if found.made_under != old:
        line = f"note: {found.run} holds constitution {found.made_under or 'none'}, not {old}"
        console.print(escape(line), soft_wrap=True)
    if found.uses:
        table = Table(box=SIMPLE_HEAD, title="records that cite a changed clause")
        for column in ("clause", "changes", "chains", "steps", "verdicts", "other"):
            justify = "left" if column in ("clause", "changes") else "right"
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        for use in found.uses:
            counts = (len(use.chains), use.steps, len(use.verdicts))
            others = sum(len(ids) for ids in use.others.values())
            cells = (escape(use.principle), ", ".join(use.kinds), *map(str, (*counts, others)))
            table.add_row(*cells)
        console.print(table)
    pairs = (("chains", found.chains), ("verdicts", found.verdicts), ("answers", found.evaluate))
    parts = [f"{part} of {whole} {name}" for name, (part, whole) in pairs]
    console.print(f"depend on the change: {', '.join(parts)}", highlight=False)
    if found.redrawn:
        console.print(
            "a new run would also draw other clauses: their set, order or weights changed"
        )


def show_cost(cost: RelabelCost) -> None:
    """What a relabel takes."""
    because = ", ".join(f"{why} {n}" for why, n in sorted(cost.asked_because.items()))
    reasons = f" ({because})" if because else ""
    Console().print(
        f"a relabel of {cost.comparisons} comparisons: {cost.calls} judge calls for "
        f"{cost.asked} votes in both orders{reasons}; {cost.kept} votes kept, "
        f"{cost.dropped} dropped",
        soft_wrap=True,
        highlight=False,
    )


def show_clause(found: Mapping[str, Any]) -> None:
    """A clause with its uses, the figures of its votes, and its violation rates."""
    console, clause = Console(), found["clause"]
    lines = [
        f"{clause['id']}: {clause['title']} ({found['name']} {found['version']}, "
        f"{found['constitution']})",
        f"    {clause['text']}",
        *(f"    except: {text}" for text in clause["exceptions"]),
        *_ranks(found),
        *_uses(found["uses"]),
        *_votes(found["labels"]),
        *_violations(found["violations"]),
        *(f"note: {note}" for note in found["notes"]),
    ]
    for line in lines:
        console.print(escape(line), soft_wrap=True, highlight=False)


def _ranks(found: Mapping[str, Any]) -> list[str]:
    named = (("goes before", "goes_before"), ("gives way to", "gives_way_to"))
    return [f"    {says} {', '.join(found[key])}" for says, key in named if found[key]]


def _uses(uses: Mapping[str, Any]) -> list[str]:
    if not uses:
        return ["uses: none"]
    lines = []
    for stage, use in uses.items():
        blocked = f", {use['blocked']} blocked" if "blocked" in use else ""
        more = ", …" if use["records"] > _MOST_ROWS else ""
        ids = f" ({', '.join(use['ids'][:_MOST_ROWS])}{more})"
        lines.append(f"uses: {stage}: {use['records']} records{blocked}{ids}")
    return lines


def _votes(labels: Mapping[str, Any] | None) -> list[str]:
    if labels is None:
        return ["labels: the run has none"]
    rates = ("clear", "with_verdict", "position_consistency", "position_bias", "length_bias")
    return [
        f"labels: {labels['n']} votes, {labels['gave_way']} gave way; "
        f"{labels['abstained_in_run']} abstentions in the run",
        *(f"    {name.replace('_', ' ')}: {_rate(labels[name])}" for name in rates),
    ]


def _violations(found: Mapping[str, Any]) -> list[str]:
    if not found["measured"]:
        return [f"violations: not measured: {found['reason']}"]
    rows = [f"violations ({found['violation']}; before {found['before']}, after {found['after']}):"]
    for model, one in found["models"].items():
        rows.append(f"    {model}: {_rate(one['rate'])}, unscored {one['unscored']}")
    change = found["change"]
    if change:
        p = f"p {change['p_adjusted']:.2g} (Holm)"
        rows.append(f"    change: {_rate(change['difference'])}, {p}")
    return rows


def _rate(rate: Mapping[str, Any]) -> str:
    if not rate["n"]:
        return "nothing to count"
    value, low, high = (f"{100 * rate[key]:.0f}" for key in ("value", "low", "high"))
    return f"{value} % (95 % {low} to {high}, n = {rate['n']})"


def _head(change: PrincipleChange) -> Text:
    named = f"{change.old_id} → {change.id}" if "renamed" in change.kinds else change.id
    where = f" (place {change.before} → {change.after})" if "moved" in change.kinds else ""
    return Text.assemble((named, "bold"), f": {', '.join(change.kinds)}{where}")


def _field(change: FieldChange) -> Text:
    line = Text(f"    {change.field}: ")
    for words in change.words:
        # Marks as well as colours: a pipe has none.
        text = words.text if words.op == "=" else f"{{{words.op}{words.text}{words.op}}}"
        line.append(text, style=_STYLES[words.op])
    if not change.words:
        line.append(f"{_plain(change.before)} → {_plain(change.after)}")
    return line


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "nothing"
    return str(value)
