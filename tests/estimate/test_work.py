"""Tokens by stage, on recipes small enough to be counted by hand."""

from __future__ import annotations

import pytest

from charter.estimate.counts import Counts, count
from charter.estimate.judging import judging
from charter.estimate.work import Planner, Work
from charter.recipe import load

COUNTS = Counts(critique=10, sft=20, pairs=30, evaluate=40, prompt_tokens=100)


def stages(*overrides: str, name: str = "llama-8b") -> dict[str, Work]:
    recipe = load(name, overrides)
    return {work.stage: work for work in Planner(recipe, COUNTS).stages()}


def test_every_stage_of_a_run_is_there_in_order() -> None:
    assert list(stages()) == [
        "critique", "sft_data", "sft", "pairs", "feedback", "preference", "rl", "evaluate",
    ]  # fmt: skip
    twin = stages("feedback.pairs=x.jsonl", "twin.judge=human")
    assert list(twin)[-4:] == ["feedback_rlhf", "preference_rlhf", "rl_rlhf", "evaluate"]
    assert twin["feedback_rlhf"] == Work("feedback_rlhf")  # people have labelled already
    assert twin["rl_rlhf"].trained == twin["rl"].trained


def test_sampled_answers_are_counted_at_the_usual_share_of_their_limit() -> None:
    found = stages("feedback.pairs_per_prompt=2", "feedback.answer.max_tokens=100")["pairs"]
    assert (found.calls, found.generated, found.read) == (120, 10_200, 12_000)


def test_a_remote_critic_costs_remote_tokens_and_a_few_shot_one_none() -> None:
    remote, local = stages()["critique"], stages("critique.critic=few-shot")["critique"]
    assert remote.calls == local.calls == 10 + 2 * 10 * 2
    assert remote.remote > 0 and local.remote == 0
    assert local.generated == pytest.approx(0.85 * (10 * 192 + 10 * 2 * (128 + 192)))
    assert local.read > remote.read


def test_more_rounds_give_more_to_imitate_unless_only_the_last_counts() -> None:
    two, four = (stages(f"critique.rounds={n}")["sft"].trained for n in (2, 4))
    assert four / two == pytest.approx(60 / 40, rel=1e-3)  # 10 prompts a round, and 20 answers
    assert stages("critique.rounds=4", "sft.rounds=last")["sft"].trained < two


def test_principles_share_a_prefix_here_and_not_behind_an_endpoint() -> None:
    recipe = load("llama-8b")
    here = [judging(recipe, "multiple-choice", n, 100, 100) for n in (1, 16)]
    away = [judging(recipe, "server", n, 100, 100) for n in (1, 16)]
    assert here[0].remote == away[0].read == 0
    assert away[1].remote == 16 * away[0].remote
    assert here[1].read < 5 * here[0].read


@pytest.mark.parametrize(
    ("settings", "samples", "passes"),
    [
        (
            ["rl.method=ppo", "rl.ppo.steps=3", "rl.ppo.prompts_per_step=4", "rl.ppo.epochs=2"],
            12,
            2,
        ),
        (["rl.method=reinforce", "rl.ppo.steps=3", "rl.ppo.prompts_per_step=4"], 12, 1),
        (["rl.method=grpo", "rl.online.steps=3", "rl.online.group=2"], 24, 1),
        (["rl.method=best-of-n", "rl.best_of_n.n=5"], 150, 30 / 150),
    ],
)
def test_every_optimiser_of_samples(settings: list[str], samples: int, passes: float) -> None:
    found = stages(*settings)["rl"]
    assert found.calls == samples
    row = 100 + 0.85 * 64
    assert found.trained == pytest.approx(samples * passes * row, abs=1)
    assert found.generated == pytest.approx(samples * 0.85 * 64, abs=1)


def test_a_judge_that_pays_reads_every_sample() -> None:
    common = ("rl.method=ppo", "rl.ppo.steps=2")
    paid, judged = stages(*common)["rl"], stages(*common, "rl.reward=server")["rl"]
    assert paid.remote == 0 < judged.remote
    assert judged.read < paid.read  # no preference model reads them


def test_a_hub_source_is_counted_as_asked_for_and_said_to_be_unread() -> None:
    found = count(load("smoke", ["prompts.redteam=hf:some/set", "prompts.critique_redteam=5000"]))
    assert found.critique == 5000 and found.sft == 6
    assert found.notes == ("hf:some/set was not read: its counts are the recipe's",)


def test_a_source_that_holds_less_is_said_to() -> None:
    found = count(load("smoke", ["prompts.sft_benign=100000"]))
    assert found.sft == 168 + 2
    assert found.notes == ("sft: the sources hold 170 of the 100,002 prompts asked for",)
