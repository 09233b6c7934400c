"""People's labels as a judge: found in either order, averaged, abstained from where missing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from charter.errors import DataError
from charter.judging.human import HumanJudge, human_pairs
from charter.judging.labeling import label
from charter.judging.pairs import LabelledPair
from charter.records import Abstention, Labelled, Verdict

from .conftest import comparison

ASKED = [("kind", 1.0)]


def hh(request: str, chosen: str, rejected: str) -> dict[str, str]:
    talk = f"\n\nHuman: {request}\n\nAssistant: "
    return {"chosen": talk + chosen, "rejected": talk + rejected}


def write(path: Path, rows: list[Any]) -> Path:
    blob = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    path.write_bytes(gzip.compress(blob) if path.suffix == ".gz" else blob)
    return path


def judge(*pairs: LabelledPair) -> HumanJudge:
    return HumanJudge(pairs, name="people")


def p_a(found: HumanJudge, a: str, b: str) -> float | Abstention:
    [answer] = label(found, [comparison("any", a, b)], [ASKED])
    return answer.p_a if isinstance(answer, Verdict) else answer


def test_a_label_is_found_in_either_order() -> None:
    found = judge(LabelledPair(comparison("c", "good", "bad"), 0.8))
    assert p_a(found, "good", "bad") == pytest.approx(0.8)
    assert p_a(found, "bad", "good") == pytest.approx(0.2)


def test_both_orders_of_a_labelled_pair_agree() -> None:
    found = judge(LabelledPair(comparison("c", "good", "bad"), 1.0))
    [verdict] = label(found, [comparison("c", "good", "bad")], [ASKED])
    assert isinstance(verdict, Verdict)
    assert (verdict.votes[0].p_as_given, verdict.votes[0].p_swapped) == (1.0, 1.0)


def test_several_labels_of_one_pair_are_averaged_whatever_their_order() -> None:
    pairs = [(comparison("1", "x", "y"), 1.0), (comparison("2", "y", "x"), 1.0)]
    pairs.append((comparison("3", "x", "y"), 1.0))
    found = judge(*(LabelledPair(c, p) for c, p in pairs))
    assert p_a(found, "x", "y") == pytest.approx(2 / 3)


def test_a_pair_that_nobody_labelled_is_abstained_from() -> None:
    found = p_a(judge(LabelledPair(comparison("c", "good", "bad"), 1.0)), "good", "other")
    assert isinstance(found, Abstention) and found.reason == "no_label"


def test_the_same_answers_to_another_prompt_are_another_pair() -> None:
    found = judge(LabelledPair(comparison("c", "good", "bad", "one question"), 1.0))
    [other] = label(found, [comparison("c", "good", "bad", "another")], [ASKED])
    assert isinstance(other, Abstention)


def test_an_hh_file_is_not_always_a(tmp_path: Path) -> None:
    rows = [hh(f"question {i}", f"better {i}", f"worse {i}") for i in range(60)]
    pairs = human_pairs(write(tmp_path / "harmless.jsonl.gz", rows))
    assert len(pairs) == 60
    firsts = sum(pair.comparison.a.startswith("better") for pair in pairs)
    assert 15 < firsts < 45
    for pair in pairs:
        assert pair.p_a == float(pair.comparison.a.startswith("better"))
    assert pairs == human_pairs(tmp_path / "harmless.jsonl.gz")


def test_the_labels_of_a_file_come_back_from_its_own_comparisons(tmp_path: Path) -> None:
    rows = [hh(f"question {i}", f"better {i}", f"worse {i}") for i in range(20)]
    pairs = human_pairs(write(tmp_path / "hh.jsonl", rows))
    labels = label(judge(*pairs), [p.comparison for p in pairs], [ASKED] * 20)
    assert [found.p_a for found in labels if isinstance(found, Verdict)] == [p.p_a for p in pairs]


def test_annotated_pairs_and_graded_labels(tmp_path: Path) -> None:
    rows = [
        {"prompt": "one", "a": "x", "b": "y", "label": "tie"},
        {"prompt": "two", "a": "x", "b": "y", "p_a": 0.7},
    ]
    found = human_pairs(write(tmp_path / "p.jsonl", rows))
    assert sorted(max(p.p_a, 1 - p.p_a) for p in found) == [0.5, pytest.approx(0.7)]


def test_records_of_a_run_with_labels_filled_in(tmp_path: Path) -> None:
    pairs = [comparison(f"c{i}", f"x{i}", f"y{i}") for i in range(4)]
    rows = [
        Labelled(pairs[0], Verdict("c0", 0.9, (), "people")),
        Labelled(pairs[1], Abstention("c1", "skipped", "people")),
        {"comparison": pairs[2], "label": "b"},
        {"comparison": pairs[3], "p_a": 0.25},
    ]
    found = human_pairs(write(tmp_path / "records.jsonl", rows))
    assert [(p.comparison.id, p.p_a) for p in found] == [("c0", 0.9), ("c2", 0.0), ("c3", 0.25)]


@pytest.mark.parametrize(
    "row",
    [
        {"comparison": comparison("c", "x", "y"), "label": "maybe"},
        {"comparison": comparison("c", "x", "y"), "p_a": 1.5},
        {"comparison": comparison("c", "x", "y")},
        {"comparison": {"id": "c"}, "label": "a"},
    ],
)
def test_a_bad_record_names_file_and_line(tmp_path: Path, row: dict[str, Any]) -> None:
    good = {"comparison": comparison("c", "x", "y"), "label": "a"}
    path = write(tmp_path / "records.jsonl", [good, row])
    with pytest.raises(DataError) as caught:
        human_pairs(path)
    assert (Path(str(caught.value.file)), caught.value.line) == (path, 2)


def test_the_identity_follows_the_labels() -> None:
    one = judge(LabelledPair(comparison("c", "good", "bad"), 1.0))
    other = judge(LabelledPair(comparison("c", "good", "bad"), 0.9))
    assert one.identity != other.identity
    assert json.dumps(one.identity)
