"""From settings to judges, on a tiny network: what is built, and what its fingerprint sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from charter.constitution.document import Constitution, Principle
from charter.errors import DataError, InputError
from charter.judging import menu
from charter.judging.calibrated import Calibration
from charter.judging.config import BUILT_IN, JudgeConfig
from charter.judging.fingerprint import fingerprint
from charter.judging.labeling import label
from charter.judging.making import Made, make
from charter.models.loading import Models
from charter.records import Abstention, Judge, Sampling, Verdict

from .conftest import comparison

SHORT = Sampling(max_tokens=4, temperature=1.0)
CONSTITUTION = Constitution(
    "charter/constitution/1",
    "test",
    "1",
    (
        Principle("kind", "Kind", "Be kind.", "c", "r", "Which answer is kinder?"),
        Principle("true", "True", "Be true.", "c", "r", "Which answer is truer?"),
    ),
)
KINDS = [
    JudgeConfig("multiple-choice", min_mass=0.0),
    JudgeConfig("multiple-choice", min_mass=0.0, format="bai", shots=2),
    JudgeConfig("multiple-choice", min_mass=0.0, format="lee"),
    JudgeConfig("chain-of-thought", min_mass=0.0, sampling=SHORT),
    JudgeConfig("rating", min_mass=0.0),
    JudgeConfig("pointwise", min_mass=0.0),
]


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


@pytest.fixture
def built(models: Models, tiny_model_folder: Path) -> Any:
    def build(config: JudgeConfig, judges: Mapping[str, JudgeConfig] | None = None) -> Made:
        name = str(tiny_model_folder)
        return make(config, CONSTITUTION, models, default_model=name, judges=judges or {})

    return build


@pytest.mark.parametrize("config", KINDS, ids=lambda c: f"{c.kind}-{c.format}")
def test_every_kind_judges_on_a_real_network(built: Any, config: JudgeConfig) -> None:
    made = built(config)
    assert isinstance(made.judge, Judge)
    pair = comparison("c", "A good story.", "bad stone")
    [found] = label(made.judge, [pair], [[("kind", 1.0), ("true", 1.0)]])
    assert isinstance(found, Verdict) and len(found.votes) == 2
    [swapped] = label(made.judge, [pair.swap()], [[("kind", 1.0), ("true", 1.0)]])
    assert isinstance(swapped, Verdict)
    assert swapped.p_a == pytest.approx(1 - found.p_a, abs=1e-5)
    assert made.about["identities"] == [made.judge.identity]
    assert made.likelihood is not None
    assert len(made.likelihood([(pair.prompt.messages, "good")])) == 1


def test_a_babbling_model_does_not_vote(built: Any) -> None:
    judge = built(JudgeConfig("votes", samples=2, sampling=SHORT)).judge
    [found] = label(judge, [comparison("c", "good", "bad")], [[("kind", 1.0)]])
    assert isinstance(found, Abstention) and found.reason == "off_menu"


def test_a_panel_knows_who_sits_on_it(built: Any) -> None:
    judges = {
        "choice": KINDS[0],
        "yes-no": KINDS[5],
        "both": JudgeConfig("panel", members={"choice": 2.0, "yes-no": 1.0}),
    }
    made = built(judges["both"], judges)
    members = [built(judges[name]).judge.identity for name in ("choice", "yes-no")]
    assert made.about["identities"] == [made.judge.identity, *members]
    [found] = label(made.judge, [comparison("c", "good", "bad")], [[("kind", 1.0)]])
    assert isinstance(found, Verdict) and set(found.votes[0].members) == {"choice", "yes-no"}


def test_people_are_a_judge(built: Any, tmp_path: Path) -> None:
    file = tmp_path / "people.jsonl"
    file.write_text('{"prompt": "hello", "a": "good", "b": "bad", "label": "a"}\n')
    made = built(JudgeConfig("human", file=str(file)))
    [found] = label(made.judge, [comparison("c", "good", "bad")], [[("kind", 1.0)]])
    assert isinstance(found, Verdict) and found.p_a == 1.0
    assert made.likelihood is None


def test_a_calibration_is_applied_and_must_be_the_judges_own(built: Any, tmp_path: Path) -> None:
    plain = built(KINDS[0])
    file = tmp_path / "calibration.json"
    fit = Calibration(plain.judge.identity, "temperature", 0.5, 0.0, 10, 0, {}, {})
    fit.save(file)
    config = replace(KINDS[0], calibration=str(file))
    made, pair = built(config), comparison("c", "good", "bad")
    [[before]], [[after]] = (m.judge.vote([pair], [["kind"]]) for m in (plain, made))
    assert (after / (1 - after)) ** 2 == pytest.approx(before / (1 - before), rel=1e-6)
    assert made.about["calibrated"].slope == 0.5
    replace(fit, judge="another@1").save(file)
    with pytest.raises(DataError, match="fitted to another@1"):
        built(config)


def test_the_readout_judge_refuses_another_model(built: Any) -> None:
    with pytest.raises(InputError, match="trained on"):
        built(JudgeConfig("readout"))


def test_settings_are_checked_first(built: Any) -> None:
    with pytest.raises(InputError, match="samples"):
        built(JudgeConfig("votes", samples=0))


def encoded(config: JudgeConfig, judges: Mapping[str, JudgeConfig] | None = None) -> str:
    return repr(fingerprint(config, judges or {}))


@pytest.mark.parametrize("kind", BUILT_IN)
def test_a_fingerprint_needs_no_model_and_repeats(kind: Any) -> None:
    assert encoded(JudgeConfig(kind)) == encoded(JudgeConfig(kind))


def test_a_fingerprint_sees_settings_templates_files_and_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = tmp_path / "people.jsonl"
    people.write_text("one")
    human = JudgeConfig("human", file=str(people))
    panel = JudgeConfig("panel", members={"mine": 1.0})
    before = encoded(human), encoded(panel, {"mine": KINDS[0]}), encoded(KINDS[0])
    people.write_text("two")
    assert encoded(human) != before[0]
    assert encoded(panel, {"mine": KINDS[1]}) != before[1]
    assert encoded(replace(KINDS[0], temperature=2.0)) != before[2]
    other = replace(menu.FORMATS["letters"], question="choice_lee_question")
    monkeypatch.setitem(menu.FORMATS, "letters", other)
    assert encoded(KINDS[0]) != before[2]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.jsonl"):
        fingerprint(JudgeConfig("human", file=str(tmp_path / "nothing.jsonl")), {})
