"""Annotated pairs of Inverse Constitutional AI: round trips, files of others, wrong files."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.constitution.document import Constitution, Principle
from charter.errors import DataError
from charter.formats.annotated_pairs import (
    AnnotatedPair,
    AnnotatedPairs,
    Annotation,
    Annotator,
    encode,
    read,
)
from charter.formats.labels_as_pairs import annotator_id, annotators, labels
from charter.records import Abstention, Message, Verdict

# Laid out as `inverse-cai` 0.4 does it.
THEIRS = {
    "metadata": {
        "version": "2.0",
        "description": "Annotated pairs",
        "created_at": "2025-05-07T18:35:36Z",
        "dataset_name": "theirs",
        "default_annotator": "ba751e7b",
        "available_metadata_keys_per_comparison": ["index"],
    },
    "annotators": {
        "ba751e7b": {"name": "preferred_text", "description": "People", "type": "unknown"},
        "bf731c7f": {"description": "Select the response that is shorter", "type": "principle"},
    },
    "comparisons": [
        {
            "id": "a4e9e77e",
            "prompt": None,
            "response_a": {"text": "A cat.", "model": "m1"},
            "response_b": {"text": "A dog.", "model": "m2"},
            "annotations": {
                "ba751e7b": {"pref": "a"},
                "bf731c7f": {"pref": None, "no_pref_reason": "not_applicable"},
            },
            "metadata": {"index": "0"},
        },
        {
            "id": "a4e9e77f",
            "prompt": "Which?",
            "response_a": {"text": "1"},
            "response_b": {"text": "2"},
            "annotations": {
                "ba751e7b": {"pref": "text_b"},
                "bf731c7f": {"pref": "b", "value": 3},
            },
        },
    ],
}
"""The digests are made up, the layout is theirs."""


def written(path: Path, tree: Any) -> Path:
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return path


def test_a_file_of_inverse_cai_is_read(tmp_path: Path) -> None:
    found = read(written(tmp_path / "theirs.json", THEIRS))
    assert found.default_annotator == "ba751e7b"
    assert found.annotators["bf731c7f"] == Annotator(
        "Select the response that is shorter", "principle"
    )
    first, second = found.comparisons
    assert first.prompt is None and first.metadata == {"index": "0"}
    assert first.annotations["bf731c7f"] == Annotation(None, "not_applicable")
    assert second.annotations["ba751e7b"] == Annotation("b")
    assert second.annotations["bf731c7f"] == Annotation("b", "", {"value": 3})


def test_people_become_hard_labels_and_no_preference_an_abstention(tmp_path: Path) -> None:
    found = read(written(tmp_path / "theirs.json", THEIRS))
    first, second = labels(found)
    assert isinstance(first.label, Verdict) and isinstance(second.label, Verdict)
    assert (first.label.p_a, second.label.p_a) == (1.0, 0.0)
    assert first.label.judge == "annotator@ba751e7b" and first.comparison.id == "a4e9e77e"
    assert second.comparison.prompt.messages == (Message("user", "Which?"),)
    by_principle = [one.label for one in labels(found, "bf731c7f")]
    assert by_principle[0] == Abstention("a4e9e77e", "not_applicable", "annotator@bf731c7f")
    assert isinstance(by_principle[1], Verdict) and by_principle[1].votes[0].principle == "bf731c7f"
    with pytest.raises(DataError, match="no annotator 'nobody'"):
        list(labels(found, "nobody"))


def test_annotators_are_named_as_inverse_cai_names_them() -> None:
    # The id that its own example file gives this principle.
    assert annotator_id("Select the response that is more concise") == "bf731c7f"


def test_principles_that_ask_the_same_are_told_apart() -> None:
    same = [Principle(id, id, "t", "c", "r", "Which is better?") for id in ("one", "two")]
    known = annotators(Constitution("f", "n", "1", tuple(same)), "judge")
    assert [one.name for one in known.values()] == ["charter verdict", "one", "two"]


TEXTS = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def others(*taken: str) -> st.SearchStrategy[dict[str, Any]]:
    """Further keys, besides those that the format knows."""
    return st.dictionaries(TEXTS.filter(lambda key: key not in taken), JSON, max_size=3)


def responses() -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(TEXTS, others("text")).map(lambda pair: {**pair[1], "text": pair[0]})


ANNOTATIONS = st.builds(
    Annotation, st.sampled_from(["a", "b", None]), TEXTS, others("pref", "no_pref_reason")
)
DATASETS = st.builds(
    AnnotatedPairs,
    others("version"),
    st.dictionaries(
        TEXTS, st.builds(Annotator, TEXTS, TEXTS, TEXTS, others("description", "type", "name"))
    ),
    st.lists(
        st.builds(
            AnnotatedPair,
            TEXTS,
            st.none() | TEXTS,
            responses(),
            responses(),
            st.dictionaries(TEXTS, ANNOTATIONS, max_size=3),
            others(),
        ),
        max_size=4,
    ).map(tuple),
)


@given(DATASETS)
def test_whatever_is_written_is_read_again(found: AnnotatedPairs) -> None:
    assert through_a_file(found) == found


def through_a_file(found: AnnotatedPairs) -> AnnotatedPairs:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.json"
        pieces = encode(found.metadata, found.annotators, found.comparisons)
        path.write_bytes(b"".join(pieces))
        json.loads(path.read_text())
        return read(path)


def edited(*keys: Any, value: Any) -> Any:
    tree = json.loads(json.dumps(THEIRS))
    node = tree
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    return tree


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("{", "not JSON"),
        ([], "missing, or no mapping"),
        ({"metadata": {}}, "field 'metadata.version': format version '1.0' (expected 2.x)"),
        (edited("metadata", "version", value="3.0"), "format version '3.0'"),
        (edited("annotators", value=[]), "field 'annotators': missing, or no mapping"),
        (edited("comparisons", value={}), "field 'comparisons': missing, or no list"),
        (edited("annotators", "bf731c7f", value=1), "field 'annotators.bf731c7f'"),
        (
            edited("comparisons", 1, "response_b", value={}),
            "field 'comparisons[1].response_b.text': no text",
        ),
        (
            edited("comparisons", 0, "annotations", "ba751e7b", value={"pref": "c"}),
            "field 'comparisons[0].annotations.ba751e7b.pref': pref 'c'",
        ),
        (
            edited("comparisons", 0, "annotations", "ba751e7b", value={}),
            "comparisons[0].annotations.ba751e7b.pref': no pref",
        ),
        (edited("comparisons", 0, "id", value=7), "field 'comparisons[0]'"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_a_wrong_file_says_where_it_is_wrong(tmp_path: Path, tree: Any, message: str) -> None:
    file = written(tmp_path / "wrong.json", tree)
    with pytest.raises(DataError) as caught:
        read(file)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "none.json")
