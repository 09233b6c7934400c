"""Which judge a name means, and by what a pair is judged: as in the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from charter import acceptance, recipe
from charter.constitution import document
from charter.errors import InputError
from charter.judging.config import JudgeConfig
from charter.records import Comparison, Message, Origin, Prompt

RECIPE = recipe.load("smoke")
VOTES = JudgeConfig("votes", samples=3)


def test_a_name_means_a_judge() -> None:
    named = replace(RECIPE, judges={"mine": VOTES})
    assert acceptance.judge_config("mine", named) == VOTES
    assert acceptance.judge_config("rating", named).kind == "rating"
    shipped = acceptance.judge_config("embedded", named)
    assert (shipped.kind, shipped.model, shipped.path) == ("readout", "embedded", "")
    with pytest.raises(InputError, match="no judge 'yours'"):
        acceptance.judge_config("yours", named)


def test_a_folder_means_the_readout_in_it_and_the_model_it_reads(tmp_path: Path) -> None:
    shipped = Path(acceptance.__file__).parent / "readout" / "library" / "judge"
    found = acceptance.judge_config(str(shipped), RECIPE)
    assert (found.kind, found.model, found.path) == ("readout", "embedded", str(shipped))
    with pytest.raises(InputError, match="no readout in it"):
        acceptance.judge_config(str(tmp_path), RECIPE)


def test_pairs_are_judged_by_the_principles_that_fit_their_prompts() -> None:
    constitution = document.load("default")
    of = acceptance.principles_of(RECIPE, constitution)
    for kind, tags in (
        ("redteam", RECIPE.feedback.harmful_tags),
        ("benign", RECIPE.feedback.harmless_tags),
    ):
        prompt = Prompt("p", (Message("user", "How?"),), kind)
        found = of(Comparison("c", prompt, "a", "b", Origin("pairs", "people")))
        fitting = [p for p in constitution.principles if set(p.tags) & set(tags)]
        assert found == [(p.id, p.weight) for p in fitting]
