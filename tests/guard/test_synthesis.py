from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from charter.cli.main import cli
from charter.constitution import document
from charter.constitution.document import Categories, Constitution
from charter.errors import InputError, ModelError
from charter.guard import synthesis
from charter.guard.assembly import SynthesisConfig
from charter.guard.examples import GuardExample, Material
from charter.guard.flips import Flip, flips
from charter.guard.material import MaterialDeps
from charter.guard.slots import MaterialConfig
from charter.guard.synthesis import Synthesised
from charter.records import Completion, Prompt, Request, Scored
from charter.store import RecordLog

DEFAULT = document.load("default")
HARMFUL = ("violence", "fraud", "theft")
HARMLESS = ("self_defence", "fraud_awareness", "property_protection")
SMALL = replace(
    DEFAULT,
    categories=Categories(
        tuple(c for c in DEFAULT.categories.harmful if c.id in HARMFUL),
        tuple(c for c in DEFAULT.categories.harmless if c.id in HARMLESS),
    ),
)
CONFIG = SynthesisConfig(MaterialConfig(per_category=12, answers=1), pool=40, setups=5)


class Writer:
    """A generator that writes a text of its own for every seed; may fail at a given call."""

    identity = "writer@1"

    def __init__(self, fail_at: int | None = None, text: str = "") -> None:
        self.calls, self.fail_at, self.text = 0, fail_at, text
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.calls += 1
        if self.calls == self.fail_at:
            raise ModelError("out of paper")
        self.asked += requests
        return [
            Completion(self.text or f"A text with number {r.seed} in {r.seed % 991}.", 9, "stop")
            for r in requests
        ]


class Judge:
    """Finds answers with an even number in them harmful."""

    identity = "judge@1"

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        return [self._one(text) for _, text in exchanges]

    def _one(self, text: str) -> Scored:
        if not text.startswith("A text with number"):
            return Scored(None, "unreadable")
        return Scored(1.0 if is_even(text) else 0.0)


def is_even(text: str) -> bool:
    return int(text.rstrip(".").split()[-1]) % 2 == 0


def make(out: Path, constitution: Constitution = SMALL, **more: object) -> Synthesised:
    deps = MaterialDeps(more.pop("model", None), more.pop("scorer", None), constitution.digest, 7)  # type: ignore[arg-type]
    return synthesis.run(constitution, CONFIG, out, deps=deps, **more)  # type: ignore[arg-type]


def rows_of(found: Synthesised) -> list[GuardExample]:
    return list(RecordLog(Path(found.examples), GuardExample))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Synthesised, list[GuardExample]]:
    found = make(tmp_path_factory.mktemp("guard") / "data")
    return found, rows_of(found)


def test_every_form_has_as_many_harmless_rows_as_harmful_ones(
    plain: tuple[Synthesised, list[GuardExample]],
) -> None:
    counts = Counter((r.split, r.form, r.label) for r in plain[1] if not r.answer)
    dresses = {(split, form) for split, form, _ in counts} - {("train", "setup")}
    dressed = {key for key in dresses if key[1] != "plain"}
    assert len(dressed) > 20
    for split, form in dressed:
        assert counts[split, form, "harmful"] == counts[split, form, "harmless"] > 0


def test_harmful_forms_are_spread_evenly_over_categories(
    plain: tuple[Synthesised, list[GuardExample]],
) -> None:
    counts = Counter(
        (r.category, r.form) for r in plain[1] if r.label == "harmful" and not r.answer
    )
    for category in HARMFUL:
        per_form = [n for (c, f), n in counts.items() if c == category and f != "plain"]
        assert max(per_form) <= 4  # 12 bases, 4 forms each, 39 forms, two sides of the split


def test_all_rows_of_a_base_are_on_one_side(
    plain: tuple[Synthesised, list[GuardExample]],
) -> None:
    sides = defaultdict(set)
    for row in plain[1]:
        sides[row.base].add(row.split)
    assert all(len(found) == 1 for found in sides.values())
    assert {split for found in sides.values() for split in found} == {"train", "eval"}


def test_every_row_cites_clauses_of_the_document_and_has_its_own_id(
    plain: tuple[Synthesised, list[GuardExample]],
) -> None:
    known = {p.id for p in SMALL.principles}
    rows = plain[1]
    assert all(row.clauses and set(row.clauses) <= known for row in rows)
    assert len({row.id for row in rows}) == len(rows) == plain[0].rows
    theft = next(r for r in rows if r.category == "theft")
    assert theft.clauses == ("lawful",)


def test_long_prompts_are_on_both_sides(plain: tuple[Synthesised, list[GuardExample]]) -> None:
    long = Counter(
        row.label
        for row in plain[1]
        if not row.answer and sum(len(m.content.split()) for m in row.conversation) > 90
    )
    assert min(long["harmful"], long["harmless"]) > 15


def test_without_a_scorer_answers_to_harmful_prompts_are_counted_not_guessed(
    tmp_path: Path,
) -> None:
    found = make(tmp_path / "out", model=Writer(), named="writer")
    answers = [r for r in rows_of(found) if r.answer]
    assert found.dropped["answer_no_scorer"] > 0
    made = [r for r in answers if r.answer.startswith("A text")]
    assert made and {r.category for r in made} <= set(HARMLESS)
    assert {r.label for r in answers} == {"harmless"}


def test_a_scorer_labels_answers_and_its_doubts_are_counted(tmp_path: Path) -> None:
    found = make(tmp_path / "out", model=Writer(), scorer=Judge(), named="writer judge")
    answers = [r for r in rows_of(found) if r.answer.startswith("A text")]
    for row in answers:
        assert row.label == ("harmful" if is_even(row.answer) else "harmless")
    assert {r.category for r in answers if r.label == "harmful"} <= set(HARMFUL)
    assert found.dropped["answer_doubtful"] > 0
    assert found.dropped["answer_unreadable"] > 0  # the drafts of worked chains


def test_the_generator_makes_up_for_what_is_missing(tmp_path: Path) -> None:
    writer = Writer()
    found = make(tmp_path / "out", model=writer, named="writer")
    sources = Counter(
        r.source for r in rows_of(found) if r.category in HARMLESS and r.form == "plain"
    )
    assert sources["paraphrase"] and sources["invented"]
    first = {r.base: r for r in rows_of(found)}
    for row in rows_of(found):
        if row.source == "paraphrase":
            parent = next(
                m.parent
                for m in RecordLog(
                    tmp_path / "out" / f"harmless-{row.category}" / "records.jsonl", Material
                )
                if m.id == row.base
            )
            assert first[parent].split == row.split
    assert any("Say the following message" in r.messages[0].content for r in writer.asked)


def test_unusable_prompts_and_duplicates_are_dropped_with_a_reason(tmp_path: Path) -> None:
    found = make(tmp_path / "a", model=Writer(text="Same words every single time."), named="w")
    assert found.dropped["duplicate"] > 0
    short = make(tmp_path / "b", model=Writer(text="No."), named="w")
    assert short.dropped["prompt_too_short"] > 0
    assert set(short.short) >= {"harmless-self_defence"}


def test_a_planted_duplicate_is_left_out(tmp_path: Path) -> None:
    text = "Please explain at length how tides come about on a coast with many islands"
    rows = [{"text": text, "label": "harmless"}, {"text": text + "!", "label": "harmless"}]
    own = tmp_path / "own.jsonl"
    own.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = make(tmp_path / "out", own=str(own))
    mine = [r for r in rows_of(found) if r.source == "file" and r.form == "plain"]
    assert [r.conversation[0].content.rstrip("!") for r in mine] == [text]


def test_an_edited_category_regenerates_only_itself(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = make(out, model=Writer(), named="w")
    assert len(first.made) == 7 and not first.kept
    before = {p: p.read_bytes() for p in out.glob("harm*/records.jsonl")}
    fraud = next(c for c in SMALL.categories.harmful if c.id == "fraud")
    edited = replace(
        SMALL,
        categories=replace(
            SMALL.categories,
            harmful=tuple(
                replace(c, text=c.text + " And gambling.") if c is fraud else c
                for c in SMALL.categories.harmful
            ),
        ),
    )
    second = make(out, edited, model=Writer(), named="w")
    assert second.made == ("harmful-fraud",)
    assert len(second.kept) == 6
    for path, blob in before.items():
        if path.parent.name != "harmful-fraud":
            assert path.read_bytes() == blob
    assert list(out.glob("harmful-fraud.old-*")), "what was paid for is kept"


def test_an_edited_clause_regenerates_the_categories_that_cite_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out)
    edited = replace(
        SMALL,
        principles=tuple(
            replace(p, text=p.text + " Ever.") if p.id == "no-violence" else p
            for p in SMALL.principles
        ),
    )
    assert make(out, edited).made == ("harmful-violence",)


def test_flipped_verdicts_are_listed(tmp_path: Path) -> None:
    own, out = tmp_path / "own.jsonl", tmp_path / "out"
    row = {"text": "May I copy a key that says do not copy?", "label": "harmful"}
    own.write_text(json.dumps(row))
    assert make(out, own=str(own)).flipped == 0
    own.write_text(json.dumps({**row, "label": "harmless"}))
    found = make(out, own=str(own))
    listed = list(RecordLog(out / "examples" / "flips.jsonl", Flip))
    assert found.flipped == len(listed) >= 1
    assert {(f.before, f.after, f.clauses) for f in listed} == {
        ("harmful", "harmless", ("answer-harmless",))
    }


def test_flips_compare_what_both_know() -> None:
    found = list(flips({"a": "block", "b": "allow", "c": "block"}, {"a": "allow", "b": "allow"}))
    assert found == [Flip("a", "block", "allow")]


def test_a_second_run_does_nothing_and_gives_the_same_bytes(tmp_path: Path) -> None:
    writer = Writer()
    one = make(tmp_path / "a", model=writer, named="w")
    calls = writer.calls
    again = make(tmp_path / "a", model=writer, named="w")
    assert writer.calls == calls and not again.made
    other = make(tmp_path / "b", model=Writer(), named="w")
    assert Path(one.examples).read_bytes() == Path(other.examples).read_bytes()


def test_a_run_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole", model=Writer(), named="w")
    with pytest.raises(ModelError):
        make(tmp_path / "cut", model=Writer(fail_at=6), named="w")
    rest = Writer()
    found = make(tmp_path / "cut", model=rest, named="w")
    assert 0 < len(found.made) < len(whole.made)
    assert Path(found.examples).read_bytes() == Path(whole.examples).read_bytes()


def test_a_document_without_categories_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no categories"):
        make(tmp_path / "out", replace(SMALL, categories=Categories()))


@pytest.mark.parametrize(
    "config",
    [
        SynthesisConfig(forms=("base65",)),
        SynthesisConfig(MaterialConfig(per_category=0)),
        SynthesisConfig(duplicate=0.0),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path: Path, config: SynthesisConfig) -> None:
    with pytest.raises(InputError):
        synthesis.run(SMALL, config, tmp_path / "out", deps=MaterialDeps())


def test_the_command(tmp_path: Path) -> None:
    asked = ["guard", "synthesize", "--model", "none", "--per-category", "2", "--json"]
    asked += ["--out", str(tmp_path / "data"), "--form", "base64"]
    found = json.loads(CliRunner().invoke(cli, asked, catch_exceptions=False).stdout)
    assert set(found["by_form"]) == {"plain", "base64", "setup"}
    assert found["rows"] == len(Path(found["examples"]).read_bytes().splitlines())
    with pytest.raises(InputError, match="nope"):
        CliRunner().invoke(cli, [*asked, "--form", "nope"], catch_exceptions=False)
