"""The draft of a constitution: every statement that all groups agree with becomes a principle.

Owns the wording around a statement. The statement itself stays as people voted on it; to make
clauses that read well, and to drop what is no rule for an assistant, is a person's work.
"""

from __future__ import annotations

import io
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from charter.collective.consensus import GroupVotes, Statement
from charter.collective.conversation import clean
from charter.collective.stage import Collected
from charter.constitution.document import FORMAT, Constitution, Principle, normal

VERSION = "0.1.0-draft"
_TITLE = 60
_HEAD = """\
# DRAFT, written by `charter collect` from votes. A person has to read it before anything uses it:
# the requests and questions below come from a template, and a statement that everybody agrees with
# need not be a rule for an assistant. The next run writes this file again: edit a copy.
"""


def constitution(collected: Collected) -> Constitution | None:
    """The draft; None if no statement reached the threshold, since a document needs a clause."""
    chosen = [statement for statement in collected.statements if statement.selected]
    if not chosen:
        return None
    return normal(
        Constitution(
            format=FORMAT,
            name=f"collected-{clean(collected.name) or 'votes'}",
            version=VERSION,
            title=f"Draft from votes: {clean(collected.topic)}",
            description=_description(collected),
            principles=tuple(_principle(statement, collected) for statement in chosen),
        )
    )


def as_yaml(document: Constitution, collected: Collected) -> str:
    """The draft as a file to read, with the divisive statements listed below it as comments."""
    stream = io.StringIO()
    writer = YAML()
    writer.width = 100
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.dump(_written(document), stream)
    return _HEAD + stream.getvalue() + _divisive(collected)


def _principle(statement: Statement, collected: Collected) -> Principle:
    said = clean(statement.text)
    quoted = f"“{said}”"
    return Principle(
        id=f"statement-{statement.id}",
        title=_shortened(said),
        text=said,
        critique_request=(
            "Point out where the answer does not keep to this statement, which people of every "
            f"opinion group agree with: {quoted}"
        ),
        revision_request=f"Rewrite the answer so that it keeps to this statement: {quoted}",
        comparison_question=f"Which answer keeps better to this statement: {quoted}?",
        tags=("general",),
        rationale="\n".join(["DRAFT, to be reviewed by a person.", *_evidence(statement)]),
        source=(
            f"Statement {statement.id} of the conversation “{clean(collected.topic)}”, "
            f"votes {collected.digest}"
        ),
    )


def _evidence(statement: Statement) -> list[str]:
    consensus = (
        f"Group-aware consensus {statement.gac:.3f} "
        f"(95 % interval {statement.gac_low:.3f} to {statement.gac_high:.3f})."
    )
    groups = enumerate(statement.by_group, start=1)
    return [consensus, *(f"Group {number}: {_votes(votes)}." for number, votes in groups)]


def _votes(votes: GroupVotes) -> str:
    rate = votes.rate
    return (
        f"{votes.agree} of {votes.seen} agree ({100 * rate.value:.1f} %, 95 % interval "
        f"{100 * rate.low:.1f} to {100 * rate.high:.1f}), {votes.disagree} disagree, "
        f"{votes.passed} pass; {votes.unseen} of the group did not vote on it"
    )


def _description(collected: Collected) -> str:
    config = collected.config
    return (
        f"DRAFT, to be reviewed by a person. {len(collected.selected)} of "
        f"{len(collected.statements)} statements reached a group-aware consensus of "
        f"{config.threshold:g} in {len(collected.groups)} opinion groups "
        f"({', '.join(map(str, collected.groups))} participants; seed {config.seed})."
    )


def _shortened(text: str) -> str:
    """The first words of a text; cut inside a word where none ends in time, as in Chinese."""
    if len(text) <= _TITLE:
        return text
    start = text[: _TITLE - 1]
    whole = start.rpartition(" ")[0]
    return (whole if len(whole) > _TITLE // 2 else start) + "…"


def _written(document: Constitution) -> dict[str, Any]:
    """Plain data as a person would write it: what it is first, nothing that says nothing."""
    plain = _filled(msgspec.to_builtins(document))
    principles = plain.pop("principles")
    return {**plain, "principles": principles}


def _filled(node: Any) -> Any:
    """The same data without empty fields; texts of several lines as blocks."""
    if isinstance(node, dict):
        inner = {key: _filled(value) for key, value in node.items()}
        return {key: value for key, value in inner.items() if value not in ("", [], {}, None)}
    if isinstance(node, list | tuple):
        return [_filled(value) for value in node]
    if isinstance(node, str) and "\n" in node:
        return LiteralScalarString(node)
    return node


def _divisive(collected: Collected) -> str:
    """Comment lines. A cleaned statement has no line break, so none can leave its comment."""
    listed = [statement for statement in collected.statements if statement.divisive]
    if not listed:
        return ""
    lines = ["", "# Divisive statements: a majority of one group agrees, of another one not."]
    for statement in listed:
        shares = ", ".join(f"{v.agree} of {v.seen}" for v in statement.by_group)
        lines.append(f"# - statement {statement.id} ({shares} agree): {clean(statement.text)}")
    return "\n".join(lines) + "\n"
