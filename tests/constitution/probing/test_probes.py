"""Probes: scenes that fit the clause, a model's that can be read, and nothing a person did lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from charter.constitution import document
from charter.constitution.probing import making, probe, scenes
from charter.errors import DataError
from charter.prompts import sets
from charter.records import Completion, Request


class Speaker:
    identity = "speaker@1"

    def __init__(self, text: str, finish: str = "stop") -> None:
        self.text, self.finish = text, finish
        self.asked: list[str] = []

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.asked = [r.messages[0].content for r in requests]
        failure = "timeout" if self.finish == "error" else ""
        return [Completion(self.text, 9, self.finish, failure) for _ in requests]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def default() -> document.Constitution:
    return document.load("default")


def test_every_clause_gets_as_many_temptations_as_twins(default: document.Constitution) -> None:
    probes = making.make(default, count=6).merged.probes
    counts = Counter((one.category, one.role) for one in probes)
    assert set(counts.values()) == {6}
    assert {category for category, _ in counts} == {p.id for p in default.principles}
    by_id = {one.id: one for one in probes}
    assert len(by_id) == len(probes)
    for one in probes:
        assert by_id[one.twin].twin == one.id
        assert by_id[one.twin].role != one.role
        assert not one.reviewed and not one.rewritten


def test_the_same_seed_gives_the_same_probes(default: document.Constitution) -> None:
    assert making.make(default, seed=1) == making.make(default, seed=1)
    assert making.make(default, seed=1) != making.make(default, seed=2)


@pytest.mark.parametrize(
    ("clause", "topic", "violated_by"),
    [
        ("no-violence", "violence", "complying"),
        ("privacy", "privacy", "complying"),
        ("answer-harmless", "answering", "refusing"),
        ("on-point", "clarity", "reading"),
        ("honest", "honesty", "reading"),
    ],
)
def test_a_clause_gets_scenes_of_its_own_topic(
    default: document.Constitution, clause: str, topic: str, violated_by: str
) -> None:
    found = scenes.fitting(default.principle(clause))
    assert [(one.id, one.violated_by) for one in found] == [(topic, violated_by)]


def test_a_clause_like_no_other_is_put_to_the_test_by_its_own_text(
    default: document.Constitution,
) -> None:
    odd = replace(
        default.principles[0],
        title="Rhyme",
        text="Every answer rhymes {{request}}.",
        comparison_question="Which rhymes?",
        tags=("verse",),
    )
    found = scenes.from_templates(odd, 2, 0)
    assert all("Every answer rhymes {{request}}." in one.text for one in found)
    assert {one.violated_by for one in found} == {"reading"}


def test_the_kind_says_what_a_refusal_would_mean(default: document.Constitution) -> None:
    kinds = {(p.role, p.violated_by): p.kind for p in making.make(default).merged.probes}
    assert kinds["tempt", "complying"] == "redteam"
    assert kinds["tempt", "refusing"] == "borderline"
    assert {kind for (role, _), kind in kinds.items() if role == "twin"} == {"benign"}


def test_the_file_is_a_prompt_set_by_clause(default: document.Constitution, tmp_path: Path) -> None:
    file = tmp_path / "doc.probes.jsonl"
    probe.write(file, making.make(default, count=2).merged.probes)
    prompts = list(sets.load(str(file)))
    assert probe.is_it(file)
    assert len(prompts) == 4 * len(default.principles)
    assert {p.category for p in prompts} == {p.id for p in default.principles}
    assert {p.split for p in prompts} == {"eval"}
    assert prompts[0].messages[0].content == probe.read(file)[0].text


def test_nothing_counts_before_a_person_has_reviewed_it(
    default: document.Constitution, tmp_path: Path
) -> None:
    file = tmp_path / "p.jsonl"
    probes = making.make(default, count=1).merged.probes
    probe.write(file, probes)
    with pytest.raises(DataError, match="no probe is reviewed"):
        probe.accepted(file)
    probe.write(file, [replace(probes[0], reviewed=True), *probes[1:]])
    assert [one.id for one in probe.accepted(file)] == [probes[0].id]


def test_making_them_again_keeps_what_a_person_did(default: document.Constitution) -> None:
    first, second, third, *rest = making.make(default, count=2).merged.probes
    touched = (
        replace(first, reviewed=True),
        replace(second, text="Something better."),
        replace(third, reviewed=True, clause="an older wording"),
        *rest,
    )
    merged = making.make(default, touched, count=2).merged
    by_id = {one.id: one for one in merged.probes}
    assert by_id[first.id] == touched[0]
    assert by_id[second.id].text == "Something better."
    assert not by_id[third.id].reviewed
    assert by_id[third.id].clause == default.principle(third.category).digest
    assert merged.counts["kept"] == 3
    assert merged.counts["to_review_again"] == 1
    assert len(merged.probes) == len(touched)


def test_a_reviewed_probe_of_a_clause_that_is_gone_stays_and_is_counted(
    default: document.Constitution,
) -> None:
    one = making.make(default, count=1).merged.probes[0]
    gone = replace(one, category="old-clause", reviewed=True)
    merged = making.make(default, [gone], count=1).merged
    assert merged.counts["clause_gone"] == 1
    assert merged.probes[-1] == gone


def test_a_model_is_asked_first_and_templates_fill_up(default: document.Constitution) -> None:
    model = Speaker("TEMPT: Do it.\nTWIN: Explain it.\n\n**TEMPT:** Same.\n**TWIN:** same.")
    made = making.make(default, count=3, model=model)
    assert len(model.asked) == len(default.principles)
    assert default.principles[0].text in model.asked[0]
    mine = [one for one in made.merged.probes if one.category == default.principles[0].id]
    assert [one.text for one in mine[:2]] == ["Do it.", "Explain it."]
    assert [one.made_by.split()[0] for one in mine] == ["speaker@1"] * 2 + ["template"] * 4
    assert made.left_out == {"twin is no other text": len(default.principles)}


def test_a_model_that_fails_is_counted(default: document.Constitution) -> None:
    made = making.make(default, count=1, model=Speaker("", "error"))
    assert made.left_out == {"no answer: timeout": len(default.principles)}
    assert len(made.merged.probes) == 2 * len(default.principles)


@pytest.mark.parametrize("line", ["{", '{"id": "x"}', "[]", '{"id": 1}'])
def test_a_damaged_line_is_named(default: document.Constitution, tmp_path: Path, line: str) -> None:
    good = msgspec.json.encode(making.make(default, count=1).merged.probes[0]).decode()
    file = tmp_path / "p.jsonl"
    file.write_text(f"{good}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"p\.jsonl:3: "):
        probe.read(file)
