"""The readout judge over a tiny network: symmetry, principles that count, abstentions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charter.judging.readout_judge import QUESTION_BIAS, QUESTION_WEIGHTS, ReadoutJudge
from charter.models import hf
from charter.readout.features import FeatureReader
from charter.readout.linear import Card, LinearReadout
from charter.records import Abstention, Comparison, Judge, Message, Origin, Prompt

QUESTIONS = {"calm": "Which answer is calmer?", "brief": "Which of the two is the shorter one?"}
AXES = ("harmless", "helpful")
TEXTS = ["good apple", "bad stone and a river", "please", "No, sorry. That is not a good plan."]


def comparison(id: str, a: str, b: str) -> Comparison:
    prompt = Prompt("p", (Message("user", "Tell me a story."),))
    return Comparison(id, prompt, a, b, Origin("pairs", "test"))


PAIRS = [comparison(f"{i}{j}", a, b) for i, a in enumerate(TEXTS) for j, b in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def reader(tiny_model_folder: Path) -> FeatureReader:
    return FeatureReader(hf.load(str(tiny_model_folder)))


@pytest.fixture(scope="module")
def readout(reader: FeatureReader) -> LinearReadout:
    source = np.random.default_rng(0)
    width = reader.width
    return LinearReadout(
        source.normal(size=(2, width)).astype(np.float32),
        source.normal(size=2).astype(np.float32),
        Card("tiny", reader.settings, AXES),
        {
            QUESTION_WEIGHTS: source.normal(size=(2, width)).astype(np.float32),
            QUESTION_BIAS: source.normal(size=2).astype(np.float32),
        },
    )


@pytest.fixture(scope="module")
def judge(reader: FeatureReader, readout: LinearReadout) -> ReadoutJudge:
    return ReadoutJudge(reader, readout, QUESTIONS)


def test_both_orders_always_agree(judge: ReadoutJudge) -> None:
    assert isinstance(judge, Judge)
    both = [list(QUESTIONS)] * len(PAIRS)
    given, swapped = judge.vote(PAIRS, both), judge.vote([c.swap() for c in PAIRS], both)
    values = []
    for first, second in zip(given, swapped, strict=True):
        for p, q in zip(first, second, strict=True):
            assert isinstance(p, float) and isinstance(q, float)
            # To the last digit that a float holds.
            assert p + q == pytest.approx(1.0, abs=2e-16)
            values.append(p)
    assert max(values) > 0.9 and min(values) < 0.1


def test_equal_answers_are_a_tie(judge: ReadoutJudge) -> None:
    [[p]] = judge.vote([comparison("c", "please", "please")], [["calm"]])
    assert p == 0.5


def test_the_verdict_is_the_principles_coefficients_times_the_gap(
    judge: ReadoutJudge, reader: FeatureReader, readout: LinearReadout
) -> None:
    pair = PAIRS[1]
    gap = np.subtract(*readout.apply(reader.read([(pair.prompt.messages, t) for t in TEXTS[:2]])))
    for principle in QUESTIONS:
        coefficients = judge.coefficients(principle)
        logit = sum(coefficients[axis] * gap[k] for k, axis in enumerate(AXES))
        [[p]] = judge.vote([pair], [[principle]])
        assert p == pytest.approx(1 / (1 + np.exp(-np.clip(logit, -30, 30))), rel=1e-5)


def test_the_wording_of_a_principle_decides_its_coefficients(
    judge: ReadoutJudge, reader: FeatureReader, readout: LinearReadout
) -> None:
    assert judge.coefficients("calm") != judge.coefficients("brief")
    # Same wording under another id: the same coefficients. Another wording: others.
    other = ReadoutJudge(
        reader, readout, {"again": QUESTIONS["calm"], "calm": "Which one is worse?"}
    )
    assert other.coefficients("again") == pytest.approx(judge.coefficients("calm"), abs=1e-5)
    assert other.coefficients("calm")["helpful"] != pytest.approx(
        judge.coefficients("calm")["helpful"], abs=1e-2
    )


def test_principles_without_wording_would_all_judge_alike(
    reader: FeatureReader, readout: LinearReadout
) -> None:
    """Breaks the judge on purpose: without question weights, the wording must cease to count."""
    extra = {**readout.extra, QUESTION_WEIGHTS: np.zeros_like(readout.extra[QUESTION_WEIGHTS])}
    deaf = ReadoutJudge(reader, replace(readout, extra=extra), QUESTIONS)
    assert deaf.coefficients("calm") == deaf.coefficients("brief")


@pytest.mark.parametrize(("a", "b"), [("", "please"), ("please", "  \n"), ("", "")])
def test_an_empty_answer_is_an_abstention(judge: ReadoutJudge, a: str, b: str) -> None:
    empty, full = comparison("empty", a, b), PAIRS[1]
    votes = judge.vote([full, empty, full], [["calm"], ["calm", "brief"], ["calm"]])
    assert votes[1] == [Abstention("empty", "empty_answer", judge.identity)] * 2
    assert votes[0] == votes[2] == judge.vote([full], [["calm"]])[0]


def test_nothing_but_empty_answers_and_nothing_at_all(judge: ReadoutJudge) -> None:
    [[found]] = judge.vote([comparison("c", "", "")], [["calm"]])
    assert isinstance(found, Abstention)
    assert judge.vote([], []) == []


def test_a_temperature_softens(reader: FeatureReader, readout: LinearReadout) -> None:
    judges = [ReadoutJudge(reader, readout, QUESTIONS, temperature=t) for t in (50.0, 100.0)]
    logits = []
    for judge in judges:
        [[p]] = judge.vote([PAIRS[1]], [["calm"]])
        assert isinstance(p, float)
        logits.append(np.log(p / (1 - p)))
    assert logits[0] == pytest.approx(2 * logits[1], rel=1e-6)


def test_the_identity_changes_with_anything_that_moves_a_verdict(
    reader: FeatureReader, readout: LinearReadout, judge: ReadoutJudge
) -> None:
    def nudged(array: np.ndarray) -> np.ndarray:
        return array + np.float32(0.01)

    same = replace(readout, weights_KF=readout.weights_KF.copy())
    assert ReadoutJudge(reader, same, QUESTIONS).identity == judge.identity
    others = [
        replace(readout, weights_KF=nudged(readout.weights_KF)),
        replace(readout, bias_K=nudged(readout.bias_K)),
        replace(
            readout,
            extra={**readout.extra, QUESTION_BIAS: nudged(readout.extra[QUESTION_BIAS])},
        ),
    ]
    found = {ReadoutJudge(reader, other, QUESTIONS).identity for other in others}
    found.add(ReadoutJudge(reader, readout, QUESTIONS, temperature=2.0).identity)
    assert len(found | {judge.identity}) == 5


def test_the_digest_stands_last_whatever_the_calibration(
    reader: FeatureReader, readout: LinearReadout, judge: ReadoutJudge
) -> None:
    """The evaluation refuses a scorer with a judge's digest: calibration must not hide it."""
    warm = ReadoutJudge(reader, readout, QUESTIONS, temperature=2.0)
    assert warm.identity.rpartition("@")[2] == readout.identity
    assert judge.identity.rpartition("@")[2] == readout.identity
