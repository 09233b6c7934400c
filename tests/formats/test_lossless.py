"""Whatever a record holds, formats that keep everything give it back bit for bit."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from charter.constitution.document import Constitution, Principle
from charter.formats import rows
from charter.formats.annotated_pairs import encode, read
from charter.formats.labels_as_pairs import annotators, labels, pair
from charter.records import (
    Comparison,
    Labelled,
    Message,
    Origin,
    PrincipleVote,
    Prompt,
    Verdict,
)

TEXTS = st.text(max_size=20)
UNIT = st.floats(0, 1)
NAMES = st.sampled_from(["p0", "p1", "p2", "gone"])
MESSAGES = st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXTS)
PROMPTS = st.builds(Prompt, TEXTS, st.lists(MESSAGES, max_size=3).map(tuple), TEXTS, TEXTS)
ORIGINS = st.builds(Origin, TEXTS, TEXTS, seed=st.integers(0, 2**62))
VOTES = st.lists(
    st.builds(PrincipleVote, NAMES, UNIT, UNIT, st.floats(0.1, 9)),
    max_size=3,
    unique_by=lambda vote: vote.principle,
).map(tuple)
PRINCIPLES = tuple(Principle(f"p{i}", "t", "t", "c", "r", f"Which {i}?") for i in range(3))
CONSTITUTION = Constitution("charter/constitution/1", "n", "1", PRINCIPLES)


@st.composite
def verdicts(draw: st.DrawFn) -> Labelled:
    comparison = Comparison(draw(TEXTS), draw(PROMPTS), draw(TEXTS), draw(TEXTS), draw(ORIGINS))
    p_a = draw(st.sampled_from([0.0, 0.5, 1.0]) | UNIT)
    return Labelled(comparison, Verdict(comparison.id, p_a, draw(VOTES), draw(TEXTS)))


@given(verdicts())
def test_preference_rows(record: Labelled) -> None:
    row = json.loads(json.dumps(rows.preference(record)))
    assert rows.labelled(row) == record
    assert 0.5 <= row["p"] <= 1 and row["tie"] == (row["p"] == 0.5)


@given(st.lists(verdicts(), max_size=3))
def test_annotated_pairs(records: list[Labelled]) -> None:
    known = annotators(CONSTITUTION, "judge")
    metadata = {"default_annotator": next(iter(known))}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.json"
        pieces = encode(metadata, known, (pair(record, known) for record in records))
        path.write_bytes(b"".join(pieces))
        assert list(labels(read(path))) == records
