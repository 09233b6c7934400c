"""The grid of judges and policies on pairs whose better answer is planted."""

from __future__ import annotations

import numpy as np
import pytest

from charter.errors import TrainingError
from charter.judging.pairs import LabelledPair
from charter.records import Comparison, Message, Origin, Prompt
from charter.studies.grid import JudgeStrength, Pairs, PolicyStrength, measure
from charter.studies.oversight import Settings, Views, clear_pairs, layer_views, run

LABEL, BEFORE, AFTER, CEILING = range(4)


def planted(count: int = 240, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, 2, F] and the sign of each pair: a direction plus noise."""
    source = np.random.default_rng(0)
    features = source.normal(size=(count, 2, 12))
    gap = (features[:, 0] - features[:, 1]) @ source.normal(size=12)
    return features, np.sign(gap + noise * source.normal(size=count))


def labelled(signs: np.ndarray) -> list[LabelledPair]:
    found = []
    for number, sign in enumerate(signs):
        prompt = Prompt(str(number), (Message("user", f"question {number}"),))
        comparison = Comparison(str(number), prompt, "one", "two", Origin("test", "people"))
        found.append(LabelledPair(comparison, (1 + sign) / 2))
    return found


def means(judges: list[JudgeStrength], policies: list[PolicyStrength]) -> np.ndarray:
    features, signs = planted()
    gap = features[:, 0] - features[:, 1]
    pairs = Pairs({"all": gap, "half": gap[:, :6]}, signs, [str(i) for i in range(len(signs))])
    return np.nanmean(measure(pairs, judges, policies, splits=6, seed=0), axis=-1)


def test_more_pairs_make_a_better_judge_and_flips_a_worse_one() -> None:
    judges = [
        JudgeStrength("all", 80),
        JudgeStrength("all", 10),
        JudgeStrength("half", 80),
        JudgeStrength("all", 80, 0.3),
    ]
    found = means(judges, [PolicyStrength("all", 10)])[:, 0]
    good, few, half, flipped = found[:, LABEL]
    assert good > few + 0.05 and good > half + 0.05
    # Accuracy a is a · 0.7 + (1 - a) · 0.3 after flips.
    assert flipped == pytest.approx(0.3 + 0.4 * good, abs=0.06)


def test_a_good_judge_helps_a_policy_that_knows_little() -> None:
    judge, harmful = JudgeStrength("all", 80), JudgeStrength("all", 80, 1.0)
    found = means([judge, harmful], [PolicyStrength("all", 8)])[:, 0]
    assert found[0, AFTER] > found[0, BEFORE] + 0.05
    assert found[1, AFTER] < found[1, BEFORE]
    assert found[0, CEILING] > found[0, BEFORE]
    assert found[0, CEILING] == pytest.approx(found[1, CEILING])


def test_the_study_says_where_labels_stop_helping() -> None:
    features, signs = planted()
    views = Views({"weak": features[..., :4], "all": features}, "all", "planted@0")
    settings = Settings(splits=6, draws=100)
    found = run(labelled(signs), views, settings, source="planted", ties=3)
    assert len(found.cells) == 2 * 2 * 2 * 2 and found.ties == 3
    for cell in found.cells:
        assert cell.gain.value == pytest.approx(cell.after.value - cell.before.value)
        assert cell.gain.low <= cell.gain.value <= cell.gain.high
    little = found.breaks[0]
    assert little.policy.pairs == 10 and little.accuracy is not None
    assert little.accuracy.low <= little.accuracy.value <= little.accuracy.high
    assert found == run(labelled(signs), views, settings, source="planted", ties=3)


def test_too_few_pairs_are_refused() -> None:
    features, signs = planted(40)
    with pytest.raises(TrainingError, match="40 pairs are too few"):
        run(labelled(signs), Views({"all": features}, "all", "m"), Settings())


def test_ties_are_counted_and_layers_are_nested() -> None:
    clear, ties = clear_pairs(labelled(np.array([1.0, 0.0, -1.0])))
    assert (len(clear), ties) == (2, 1)
    views = layer_views(np.arange(2 * 2 * 8).reshape(2, 2, 8), 4)
    assert {name: view.shape[-1] for name, view in views.items()} == {
        "1 of 4 layers": 2,
        "2 of 4 layers": 4,
        "4 of 4 layers": 8,
    }
