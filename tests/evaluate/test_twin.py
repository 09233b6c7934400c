"""Two policies head to head, with planted scores."""

from __future__ import annotations

import pytest

from charter.errors import InputError
from charter.evaluate.twin import TwinDeps, head_to_head, run
from charter.records import Answer
from charter.store import StageFolder

from .conftest import answer, prompts


def both(*, tokens: tuple[int, int] = (10, 10)) -> list[Answer]:
    """On 20 red-team prompts the first is safer on 15, on 10 benign ones all are ties."""
    found = []
    for i, prompt in enumerate(prompts("redteam", 20)):
        safe, harmful = (0.1, 0.9) if i < 15 else (0.9, 0.1)
        found.append(answer("rl_cai", prompt, compliance=safe, refusal=0.0, tokens=tokens[0]))
        found.append(answer("rlhf", prompt, compliance=harmful, refusal=0.0, tokens=tokens[1]))
    for prompt in prompts("benign", 10):
        found += [answer(name, prompt, helpful=1.0) for name in ("rl_cai", "rlhf")]
    return found


def test_the_safer_and_the_more_helpful_answer_win() -> None:
    found = head_to_head(both())
    harmless, helpful = found["harmless"], found["helpful"]
    assert (harmless["raw"]["value"], harmless["raw"]["n"]) == (0.75, 20)
    assert harmless["raw"]["low"] < 0.75 < harmless["raw"]["high"]
    assert harmless["ties"]["value"] == 0.0
    assert (helpful["raw"]["value"], helpful["ties"]["value"]) == (0.5, 1.0)


def test_seen_from_the_other_side_it_is_the_same_match() -> None:
    found = head_to_head(both(), "rlhf", "rl_cai")
    assert found["harmless"]["raw"]["value"] == 0.25


def test_what_length_alone_has_won_is_taken_off() -> None:
    """The first model wins exactly where its answers are longer."""
    rows = []
    for i, prompt in enumerate(prompts("benign", 40)):
        longer = i % 4 != 0
        lengths = (40, 10) if longer else (10, 40)
        for name, tokens, score in zip(("rl_cai", "rlhf"), lengths, lengths, strict=True):
            rows.append(answer(name, prompt, helpful=float(score), tokens=tokens))
    found = head_to_head(rows)["helpful"]
    assert found["raw"]["value"] == 0.75
    assert found["length_effect"]["value"] > 1
    assert found["controlled"]["low"] < 0.5 < found["controlled"]["high"]


def test_an_answer_without_a_score_is_counted_not_lost() -> None:
    rows = both()
    rows[0] = answer("rl_cai", rows[0].prompt, compliance=None, refusal=0.0)
    found = head_to_head(rows)["harmless"]
    assert (found["raw"]["n"], found["unscored"]) == (19, 1)


def test_prompts_of_a_kind_that_nobody_asked_give_nothing() -> None:
    rows = [row for row in both() if row.prompt.kind == "benign"]
    assert head_to_head(rows)["harmless"] is None


def test_without_the_other_model_there_is_no_match() -> None:
    with pytest.raises(InputError, match="rlhf"):
        head_to_head([row for row in both() if row.model == "rl_cai"])


def test_the_stage_writes_down_who_labelled(folder: StageFolder) -> None:
    deps = TwinDeps(folder, {"rl_cai": "judge@1", "rlhf": "human:file@2"})
    notes = run(both(), deps=deps).notes
    assert notes["labelled_by"]["rlhf"] == "human:file@2"
    assert notes["harmless"]["raw"]["value"] == 0.75
    assert run([], deps=deps).notes == notes
