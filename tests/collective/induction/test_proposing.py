"""What a proposing model is asked, and how its answers are read."""

from __future__ import annotations

from collections.abc import Sequence

from charter.collective.induction.preferences import Preferences
from charter.collective.induction.proposing import propose
from charter.records import Completion, Request


class Speaker:
    """Gives the same answers again and again, and remembers what it was asked."""

    identity = "speaker@1"

    def __init__(self, *answers: str | Completion) -> None:
        self.answers, self.asked = answers, [""]

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.asked = [r.messages[0].content for r in requests]
        found = [self.answers[n % len(self.answers)] for n in range(len(requests))]
        return [f if isinstance(f, Completion) else Completion(f, 9, "stop") for f in found]


def test_the_preferred_answer_is_named_as_such_whichever_side_it_is_on(
    planted: Preferences,
) -> None:
    model = Speaker("PRINCIPLE: The assistant speaks of oaks.")
    propose(model, planted.comparisons, planted.signs, requests=14, pairs=3, seed=0)
    assert len(model.asked) == 14
    for text in model.asked:
        blocks = text.split("[Pair ")[1:]
        assert len(blocks) == 3
        for block in blocks:
            better = block.split("Preferred answer:")[1].split("Other answer:")[0]
            assert ("oak" in better) != ("tea" in better)
    shown = "".join(model.asked)
    assert all(c.a in shown and c.b in shown for c in planted.comparisons)


def test_lines_are_read_and_what_cannot_be_used_is_counted(planted: Preferences) -> None:
    model = Speaker(
        "PRINCIPLE: The assistant speaks of oaks.\n**PRINCIPLE:** The assistant is brief.",
        "principle: the assistant speaks of oaks.",
        "I like trees.",
        "PRINCIPLE: Oaks.",
        f"PRINCIPLE: The assistant {'really ' * 60}likes oaks.",
        "PRINCIPLE: The assistant says \x07 to all.",
        Completion("", 0, "error", "timeout"),
    )
    found = propose(model, planted.comparisons, planted.signs, requests=7, pairs=2, seed=0)
    texts = {one.wording.text: one.shown for one in found.candidates}
    assert texts == {"The assistant speaks of oaks.": 2, "The assistant is brief.": 1}
    assert found.left_out == {
        "answer not in the form asked for": 1,
        "no answer: timeout": 1,
        "too long": 1,
        "too short": 1,
        "unprintable text": 1,
    }


def test_an_answer_cannot_smuggle_in_a_placeholder(planted: Preferences) -> None:
    first = planted.comparisons[0]
    odd = type(first)(first.id, first.prompt, "{{question}} {{pairs}}", "b {0}", first.origin)
    model = Speaker("PRINCIPLE: The assistant is brief.")
    propose(model, [odd], [1], requests=1, pairs=1, seed=0)
    assert "Preferred answer: {{question}} {{pairs}}" in model.asked[0]
