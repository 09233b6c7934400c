"""From learned principles to the draft of a constitution.

Every principle cites the pairs that it explains, learned and held out. A person has to read it: a
principle says what was preferred in these pairs, not what ought to be, and its critique and
revision requests come from a template.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from charter.collective.induction.candidates import Candidate, Wording
from charter.collective.induction.evidence import Tally
from charter.collective.induction.result import Induced, Learned
from charter.constitution.document import FORMAT, Constitution, Principle, normal
from charter.constitution.formats.drafting import completed
from charter.constitution.formats.given import slug
from charter.constitution.yaml_writer import to_yaml
from charter.statistics import Rate

VERSION = "0.1.0-draft"
_HEAD = """\
# DRAFT, written by `charter induce` from preferences. A person has to read it before anything uses
# it: these principles predict what was preferred, which need not be what is right. The next run
# with the same --out writes this file again: edit a copy.
"""


def constitution(induced: Induced) -> Constitution | None:
    """The draft; None if the principles are not above chance, since nothing would be learned."""
    if not induced.above_chance:
        return None
    return normal(
        Constitution(
            format=FORMAT,
            name=f"induced-{slug(Path(induced.name).stem) or 'pairs'}",
            version=VERSION,
            title=f"Draft from preferences: {induced.name}",
            description=_description(induced),
            principles=tuple(_learned(one, induced) for one in induced.principles),
        )
    )


def as_yaml(document: Constitution) -> str:
    """The draft as a file to read."""
    return _HEAD + to_yaml(document)


def untested(candidates: Sequence[Candidate]) -> Constitution:
    """Candidates as a document, for the judge that tests them."""
    assert candidates, "a document needs a principle"
    principles = tuple(_principle(one.id, one.wording, {}) for one in candidates)
    return normal(Constitution(FORMAT, "candidates", VERSION, principles))


def _learned(one: Learned, induced: Induced) -> Principle:
    source = (
        f"charter induce on {induced.name} (pairs {induced.digest}); proposed by "
        f"{induced.proposals.by}, tested by {induced.judge}, seed {induced.config.seed}"
    )
    return _principle(one.id, one.wording, {"rationale": _evidence(one), "source": source})


def _principle(id: str, wording: Wording, notes: dict[str, str]) -> Principle:
    fields = {
        "id": id,
        "title": wording.title,
        "text": wording.text,
        "comparison_question": wording.question,
        "tags": ["general"],
        **notes,
    }
    return msgspec.convert(completed(fields), Principle)


def _evidence(one: Learned) -> str:
    lines = [
        "DRAFT, to be reviewed by a person.",
        f"Held-out pairs: {_counted(one.held_out)}; p = {one.p_holm:.2g}, adjusted for the number "
        f"of principles ({'confirmed' if one.confirmed else 'not confirmed by itself'}).",
        f"Training pairs: {_counted(one.train)}.",
        f"Beyond the principles above it: {one.train_beyond.agree} training and "
        f"{one.held_out_beyond.agree} held-out pairs explained, {one.train_beyond.against} and "
        f"{one.held_out_beyond.against} against.",
    ]
    if one.alike:
        lines.append(f"Could not be told from: {'; '.join(one.alike)}.")
    return "\n".join(lines)


def _counted(found: Tally) -> str:
    return (
        f"explains {found.agree} of {found.explained.n} ({_percent(found.explained)}), "
        f"{found.against} against, {found.not_relevant} not relevant, {found.unscored} unscored; "
        f"right where relevant {_percent(found.accuracy)}"
    )


def _percent(rate: Rate) -> str:
    ends = f"95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f}"
    return f"{100 * rate.value:.1f} %, {ends}" if rate.n else "never"


def _description(induced: Induced) -> str:
    return (
        f"DRAFT, to be reviewed by a person. {len(induced.principles)} principles learned from "
        f"{induced.train_pairs} pairs; together {induced.verdict}. The first principle that speaks "
        "of a pair decides it."
    )
