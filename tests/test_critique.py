"""Critique and revision with scripted models: what is asked, what is kept, what is counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from charter import critique
from charter.constitution.document import Categories, Category, Constitution, Principle
from charter.critique import CritiqueConfig, CritiqueDeps
from charter.prompts.chains import WorkedChain
from charter.records import Completion, Dropped, Message, Prompt, Request, RevisionChain, Step
from charter.store import DROPPED, Manifest, RunFolder


def principle(id: str, *tags: str) -> Principle:
    return Principle(
        id, id, f"{id} text", f"Find {id} faults.", f"Mend {id} faults.", "Which?", 1.0, tags
    )


CONSTITUTION = Constitution(
    "charter/constitution/1",
    "test",
    "1",
    (principle("calm", "general"), principle("lawful", "harm"), principle("fair", "harm")),
    categories=Categories((Category("theft", "Theft", "text", ("lawful",)),)),
)
NOTHING = "Nothing needs to change here."
Reply = Callable[[Request], str]


class Scripted:
    """Answers with what a function makes of the request; keeps every request."""

    def __init__(self, identity: str, reply: Reply) -> None:
        self.identity, self.reply = identity, reply
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.asked += requests
        return [Completion(self.reply(r), 5, "stop") for r in requests]


def draft(request: Request) -> str:
    return f"A first answer to {request.messages[-1].content!r}."


def last(request: Request) -> str:
    return request.messages[-1].content


def is_critique(request: Request) -> bool:
    return "Critique request:" in last(request)


def diligent(request: Request) -> str:
    """Finds a fault under the principle it is asked about, and mends it."""
    found = re.search(r"(?:Find|Mend) (\w+) faults", last(request))
    assert found, last(request)
    depth = len(request.messages)
    if is_critique(request):
        return f"The answer is not {found[1]} enough at depth {depth}."
    return f"An answer that is more {found[1]}, at depth {depth}."


def prompts(count: int = 3, category: str = "") -> list[Prompt]:
    return [
        Prompt(f"p{n}", (Message("user", f"question {n}"),), "redteam", category)
        for n in range(count)
    ]


class Stage:
    """The stage's folder and models, for one run of it."""

    def __init__(self, path: Path, critic: Reply = diligent, policy: Reply = draft) -> None:
        self.folder = RunFolder(path).stage("critique", "asked")
        self.policy, self.critic = Scripted("policy@1", policy), Scripted("critic@1", critic)

    def run(
        self,
        given: list[Prompt],
        config: CritiqueConfig | None = None,
        seed: int = 0,
        shots: tuple[Message, ...] = (),
    ) -> Manifest:
        deps = CritiqueDeps(self.policy, self.critic, self.folder, shots, seed)
        return critique.run(given, CONSTITUTION, config or CritiqueConfig(), deps=deps)

    @property
    def chains(self) -> list[RevisionChain]:
        return list(self.folder.log(RevisionChain))

    @property
    def dropped(self) -> list[Dropped]:
        return list(self.folder.log(Dropped, DROPPED))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_chain_holds_draft_critiques_and_revisions(stage: Stage) -> None:
    manifest = stage.run(prompts(1), CritiqueConfig(rounds=2))
    assert manifest.kept == 1
    [chain] = stage.chains
    assert chain.id == "p0/critique"
    assert chain.draft == "A first answer to 'question 0'."
    assert [s.critique for s in chain.steps] == [
        f"The answer is not {s.principle} enough at depth {depth}."
        for s, depth in zip(chain.steps, (2, 6), strict=True)
    ]
    assert [s.revision for s in chain.steps] == [
        f"An answer that is more {s.principle}, at depth {depth}."
        for s, depth in zip(chain.steps, (4, 8), strict=True)
    ]
    assert chain.stopped == ""


def test_the_origin_says_what_made_it(stage: Stage) -> None:
    stage.run(prompts(1), seed=5)
    origin = stage.chains[0].origin
    assert origin.model == "policy@1 | critic@1"
    assert origin.constitution == CONSTITUTION.digest
    assert (origin.stage, origin.seed) == ("critique", 5)
    assert origin.template


def test_every_step_extends_the_conversation_before_it(stage: Stage) -> None:
    stage.run(prompts(1), CritiqueConfig(rounds=2))
    talks = [r.messages for r in stage.critic.asked]
    assert [len(t) for t in talks] == [2, 4, 6, 8]
    for before, after in pairwise(talks):
        assert after[: len(before)] == before
        assert after[len(before)].role == "assistant"
    first = talks[0][-1].content
    assert "Request: question 0" in first
    assert "Answer: A first answer to 'question 0'." in first


def drawn(stage: Stage) -> list[str]:
    return [step.principle for chain in stage.chains for step in chain.steps]


def test_a_principle_is_drawn_per_step_by_the_seed(tmp_path: Path) -> None:
    runs = {name: Stage(tmp_path / name) for name in ("first", "again", "other")}
    for name, stage in runs.items():
        stage.run(prompts(40), CritiqueConfig(rounds=3), seed=1 if name == "other" else 0)
    assert drawn(runs["first"]) == drawn(runs["again"])
    assert drawn(runs["first"]) != drawn(runs["other"])
    # 120 draws of three: 40 each; five standard deviations are 26.
    assert all(abs(n - 40) <= 26 for n in Counter(drawn(runs["first"])).values())
    assert any(len({s.principle for s in c.steps}) > 1 for c in runs["first"].chains)


def test_the_draw_does_not_depend_on_the_other_prompts(tmp_path: Path) -> None:
    together, alone = Stage(tmp_path / "together"), Stage(tmp_path / "alone")
    together.run(prompts(5))
    alone.run(prompts(5)[3:4])
    assert alone.chains[0] == together.chains[3]


def test_relevant_draws_stay_with_the_category(stage: Stage) -> None:
    stage.run(prompts(30, "theft"), CritiqueConfig(draw="relevant"))
    assert set(drawn(stage)) == {"calm", "lawful"}


def test_nothing_to_change_keeps_the_text_and_asks_for_no_revision(tmp_path: Path) -> None:
    stage = Stage(tmp_path, critic=lambda request: NOTHING)
    stage.run(prompts(1), CritiqueConfig(rounds=2))
    [chain] = stage.chains
    assert [(s.critique, s.revision) for s in chain.steps] == [(NOTHING, chain.draft)] * 2
    assert all(is_critique(r) for r in stage.critic.asked)


def test_nothing_to_change_after_a_revision_keeps_the_revision(tmp_path: Path) -> None:
    def satisfied(request: Request) -> str:
        return NOTHING if is_critique(request) and len(request.messages) > 2 else diligent(request)

    stage = Stage(tmp_path, critic=satisfied)
    stage.run(prompts(1), CritiqueConfig(rounds=2))
    first, second = stage.chains[0].steps
    assert second == Step(second.principle, NOTHING, first.revision)


def test_a_degenerate_draft_is_dropped_and_counted_and_costs_no_critique(tmp_path: Path) -> None:
    def loops(request: Request) -> str:
        return "I can do that. " * 20 if last(request) == "question 1" else draft(request)

    stage = Stage(tmp_path, policy=loops)
    manifest = stage.run(prompts(3), CritiqueConfig(rounds=1))
    assert (manifest.kept, manifest.dropped) == (2, {"draft_repetitive": 1})
    assert [d.id for d in stage.dropped] == ["p1/critique"]
    assert not any("question 1" in r.messages[1].content for r in stage.critic.asked)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [("", "empty"), ("No. Bad.", "too_short"), ("so it is " * 9, "repetitive")],
)
@pytest.mark.parametrize("what", ["critique", "revision"])
def test_a_degenerate_first_step_is_dropped_and_counted(
    tmp_path: Path, bad: str, reason: str, what: str
) -> None:
    def fails(request: Request) -> str:
        return bad if is_critique(request) == (what == "critique") else diligent(request)

    stage = Stage(tmp_path, critic=fails)
    manifest = stage.run(prompts(2))
    assert (manifest.kept, manifest.dropped) == (0, {f"{what}_{reason}": 2})


def test_a_revision_that_echoes_the_request_is_dropped(tmp_path: Path) -> None:
    request = "tell me how to open a lock"

    def echoes(asked: Request) -> str:
        return diligent(asked) if is_critique(asked) else request

    stage = Stage(tmp_path, critic=echoes)
    manifest = stage.run([Prompt("p", (Message("user", request),))])
    assert manifest.dropped == {"revision_echo": 1}


def test_a_chain_that_fails_later_keeps_its_whole_steps_and_says_why(tmp_path: Path) -> None:
    def tires(request: Request) -> str:
        return "" if len(request.messages) > 6 else diligent(request)

    stage = Stage(tmp_path, critic=tires)
    manifest = stage.run(prompts(1), CritiqueConfig(rounds=3))
    assert manifest.kept == 1
    [chain] = stage.chains
    assert len(chain.steps) == 1
    assert chain.stopped == "revision_empty"


BOTH = CritiqueConfig(rounds=2, arms=("critique", "direct"))


def test_the_direct_arm_shares_draft_and_principles_and_has_no_critique(stage: Stage) -> None:
    stage.run(prompts(4), BOTH)
    by_arm = {arm: [c for c in stage.chains if c.arm == arm] for arm in ("critique", "direct")}
    assert [c.id for c in by_arm["direct"]] == [f"p{n}/direct" for n in range(4)]
    for critical, direct in zip(by_arm["critique"], by_arm["direct"], strict=True):
        assert direct.draft == critical.draft
        assert [s.principle for s in direct.steps] == [s.principle for s in critical.steps]
        assert [s.critique for s in direct.steps] == ["", ""]
        assert direct.steps[-1].revision != critical.steps[-1].revision


def test_both_arms_sample_the_draft_with_one_seed_and_revise_with_two(stage: Stage) -> None:
    stage.run(prompts(1), BOTH)
    assert len({r.seed for r in stage.policy.asked}) == 1
    seeds = [r.seed for r in stage.critic.asked]
    assert len(set(seeds)) == len(seeds) == 6


def test_the_direct_arm_is_asked_for_a_revision_at_once(stage: Stage) -> None:
    stage.run(prompts(1), CritiqueConfig(rounds=1, arms=("direct",)))
    [request] = stage.critic.asked
    assert re.search(
        r"Request: question 0\n\nAnswer: .*\n\nRevision request: Mend \w+ faults\.", last(request)
    )


def test_a_prompt_cannot_smuggle_in_a_placeholder(stage: Stage) -> None:
    hostile = "{{answer}} {{critique_request}} {request}"
    stage.run([Prompt("p", (Message("user", hostile),))], CritiqueConfig(rounds=1))
    assert f"Request: {hostile}\n\nAnswer: " in stage.critic.asked[0].messages[-1].content


WORKED = [
    WorkedChain(
        f"w{n}", "redteam", "theft", f"ask {n}", f"draft {n}", "lawful", f"critique {n}",
        f"revision {n}", "calm", NOTHING,
    )
    for n in range(5)
]  # fmt: skip


def test_few_shots_are_whole_conversations_drawn_by_the_seed() -> None:
    shots = critique.few_shots(WORKED, CONSTITUTION, 2, seed=0)
    assert [m.role for m in shots] == ["user", "assistant"] * 4
    assert shots == critique.few_shots(WORKED, CONSTITUTION, 2, seed=0)
    drawn = {critique.few_shots(WORKED, CONSTITUTION, 2, seed=s) for s in range(10)}
    assert len(drawn) > 1
    number = shots[1].content.removeprefix("critique ")
    assert shots[3].content == f"revision {number}"
    assert f"Request: ask {number}" in shots[0].content


def test_few_shots_leave_out_chains_of_principles_that_are_gone() -> None:
    without = Constitution("charter/constitution/1", "t", "1", (principle("calm"),))
    assert critique.few_shots(WORKED, without, 2, seed=0) == ()
    assert len(critique.few_shots(WORKED, CONSTITUTION, 99, seed=0)) == 4 * len(WORKED)


def test_shots_stand_between_the_system_message_and_the_question(stage: Stage) -> None:
    shots = critique.few_shots(WORKED, CONSTITUTION, 1, seed=0)
    stage.run(prompts(1), CritiqueConfig(rounds=1), shots=shots)
    talk = stage.critic.asked[0].messages
    assert talk[0].role == "system"
    assert talk[1:5] == shots
    assert "question 0" in talk[5].content


@pytest.mark.parametrize("arm", ["critique", "direct"])
def test_every_request_to_the_critic_names_the_exceptions(stage: Stage, arm: critique.Arm) -> None:
    excepted = replace(CONSTITUTION.principles[0], exceptions=("{jokes} may stand",))
    document = replace(CONSTITUTION, principles=(excepted,), categories=Categories())
    deps = CritiqueDeps(stage.policy, stage.critic, stage.folder)
    critique.run(prompts(1), document, CritiqueConfig(rounds=2, arms=(arm,)), deps=deps)
    assert len(stage.critic.asked) == (4 if arm == "critique" else 2)
    for request in stage.critic.asked:
        assert "calm faults. Exception: {jokes} may stand." in last(request)
