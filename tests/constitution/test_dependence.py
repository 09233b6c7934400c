"""What of a run depends on an edit: counted by hand on a run of a few records."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from charter.constitution.clauses import FORMAT, Constitution, Principle
from charter.constitution.dependence import Dependence, dependence
from charter.constitution.diff import diff
from charter.errors import DataError, StoreError
from charter.storage.index import StorageConfig
from charter.store import StageFolder

KIND = Principle("kind", "Kind", "t", "c", "r", "Which is kinder?")
FAIR = Principle("fair", "Fair", "t2", "c2", "r2", "Which is fairer?")
BEFORE = Constitution(FORMAT, "test", "1", (KIND, FAIR))


def line(**record: object) -> str:
    return msgspec.json.encode(record).decode() + "\n"


def chain(id: str, *principles: str) -> str:
    return line(id=id, steps=[{"principle": p} for p in principles])


def label(id: str, *principles: str) -> str:
    votes = [{"principle": p} for p in principles]
    return line(comparison={"id": id}, label={"votes": votes})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    files = {
        "critique": chain("c1", "kind", "kind") + chain("c2", "fair") + '{"id": "cut',
        "feedback": label("l1", "kind", "fair") + label("l2", "fair") + label("l3"),
        "feedback.old-1": label("l9", "kind"),
        "evaluate": "".join(line(id=m, model=m) for m in ("base", "sl_cai", "rl_cai")),
        "guard_train": line(id="g1", clauses=["kind"]),
    }
    for stage, text in files.items():
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "records.jsonl").write_text(text)
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "audit.jsonl").write_text(line(request="r1", clauses=["kind"]))
    (tmp_path / "constitution.json").write_bytes(msgspec.json.encode(BEFORE))
    return tmp_path


def after(run: Path, *principles: Principle) -> Dependence:
    return dependence(diff(BEFORE, replace(BEFORE, principles=principles)), run)


def test_a_reworded_critique_touches_chains_votes_and_trained_models(run: Path) -> None:
    found = after(run, replace(KIND, critique_request="Say more."), FAIR)
    [use] = found.uses
    assert (use.principle, use.kinds) == ("kind", ("reworded",))
    assert (use.chains, use.steps, use.verdicts) == (("c1",), 2, ("l1",))
    assert use.others == {"guard": ("r1",), "guard_train": ("g1",)}
    assert (found.chains, found.verdicts, found.evaluate) == ((1, 2), (1, 3), (2, 3))
    assert (found.made_under, found.redrawn) == (BEFORE.digest, False)


def test_a_reworded_question_leaves_the_critiques_alone(run: Path) -> None:
    found = after(run, KIND, replace(FAIR, comparison_question="Which is more fair?"))
    assert (found.chains, found.verdicts, found.evaluate) == ((0, 2), (2, 3), (2, 3))


def test_notes_touch_nothing(run: Path) -> None:
    found = after(run, replace(KIND, rationale="Why."), FAIR)
    assert (found.uses, found.evaluate, found.redrawn) == ((), (0, 3), False)


def test_a_priority_touches_the_verdicts_with_several_votes(run: Path) -> None:
    [use] = after(run, replace(KIND, over=("fair",)), FAIR).uses
    assert (use.principle, use.chains, use.verdicts, use.others) == ("kind", (), ("l1",), {})
    found = after(run, KIND, replace(FAIR, over=("kind",)))
    assert (found.chains, found.verdicts, found.evaluate) == ((0, 2), (1, 3), (2, 3))


@pytest.mark.parametrize(
    ("principles", "verdicts"),
    [
        ((replace(KIND, weight=2.0), FAIR), 1),
        ((FAIR,), 1),
        ((FAIR, KIND), 0),
        ((KIND, FAIR, replace(KIND, id="new", text="n")), 0),
    ],
)
def test_other_draws_are_told(run: Path, principles: tuple[Principle, ...], verdicts: int) -> None:
    found = after(run, *principles)
    assert found.redrawn
    assert (found.verdicts, found.evaluate) == ((verdicts, 3), (2, 3))


def test_a_run_of_another_document_is_told(run: Path) -> None:
    other = replace(BEFORE, name="other")
    assert dependence(diff(other, other), run).made_under != other.digest


def test_what_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no records"):
        after(tmp_path, KIND)


def test_a_damaged_record_names_its_line(run: Path) -> None:
    log = run / "critique" / "records.jsonl"
    log.write_text(chain("c1", "kind") + "nonsense\n")
    with pytest.raises(StoreError, match=r"critique/records\.jsonl:2: damaged"):
        after(run, FAIR)


def test_records_in_shards_count_as_well(run: Path) -> None:
    storage = StorageConfig(shard_mb=1e-5)  # every append becomes a shard
    log = StageFolder(run / "critique", "critique", "", storage).log(dict[str, object])
    log.repair()
    log.append([{"id": "c3", "steps": [{"principle": "kind"}]}])
    assert log.path.read_bytes() == b""
    found = after(run, replace(KIND, critique_request="Say more."), FAIR)
    assert found.chains == (2, 3)
