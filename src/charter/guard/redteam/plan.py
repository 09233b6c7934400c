"""What is sent in a round: behaviours and their benign twins in every form, then staged attacks.

Owns the plan and the choice of forms for the second step. A twin wears the dress of the behaviour
it stands beside: same form, same seed. Sends nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from charter.errors import InputError
from charter.guard.forms.catalogue import PLAIN, form, forms
from charter.guard.forms.form import dressed
from charter.guard.redteam.answer_dress import DRESSES, with_dress
from charter.guard.redteam.attempt import Attempt, Side, Step
from charter.records import Message, Prompt
from charter.seeds import derive


@dataclass(frozen=True, slots=True)
class Planned:
    """An attempt that is to be made; see `Attempt` for the names."""

    id: str
    round: int
    step: Step
    side: Side
    prompt: Prompt
    form: str
    dress: str
    conversation: tuple[Message, ...]


def chosen_forms(wanted: str) -> tuple[str, ...]:
    """Names of forms: `all`, or a list with commas. `plain` always comes first.

    Raises:
        InputError: there is no such form.
    """
    if wanted.strip() == "all":
        return (PLAIN, *forms())
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    for name in names:
        if name != PLAIN:
            form(name)
    if not names:
        raise InputError("no form is named", field="--forms", expected="all, or names with commas")
    return (PLAIN, *dict.fromkeys(name for name in names if name != PLAIN))


def in_forms(
    side: Side, prompts: Sequence[Prompt], names: Sequence[str], round_: int, seed: int
) -> Iterator[Planned]:
    """Every prompt in every form."""
    for name in names:
        for place, prompt in enumerate(prompts):
            said = in_form(prompt, name, dress_seed(seed, round_, place))
            id_ = f"{round_}.form.{side}.{name}.{prompt.id}"
            yield Planned(id_, round_, "form", side, prompt, name, "", said)


def in_form(prompt: Prompt, name: str, seed: int) -> tuple[Message, ...]:
    """A prompt's conversation, its last turn in the form of that name."""
    return prompt.messages if name == PLAIN else dressed(form(name), prompt.messages, seed)


def dress_seed(seed: int, round_: int, place: int) -> int:
    """Seed of the dress of the behaviour at a place, and of its twin's."""
    return derive(seed, "redteam", round_, place)


def staged(
    made: Iterable[Attempt], prompts: Sequence[Prompt], passing: Sequence[str]
) -> Iterator[Planned]:
    """The second step: what got past the input stage and was then blocked as an answer, again, and
    told to hide the answer; one form a behaviour, the one that passes most often.

    Args:
        made: attempts of the first step, harmful ones.
        prompts: the behaviours.
        passing: names of forms, those first that pass the input stage most often.
    """
    rank, best = {name: place for place, name in enumerate(passing)}, dict[str, Attempt]()
    for attempt in made:
        if attempt.blocked_at == "answer":
            known = best.setdefault(attempt.behaviour, attempt)
            if rank[attempt.form] < rank[known.form]:
                best[attempt.behaviour] = attempt
    for prompt in prompts:
        if prompt.id in best:
            yield from _hidden(best[prompt.id], prompt)


def passing_forms(made: Iterable[Attempt]) -> list[str]:
    """Forms by how many harmful requests passed the input stage in them, most first."""
    passed = Counter[str]()
    for attempt in made:
        passed[attempt.form] += attempt.passed_input is True
    return sorted(passed, key=lambda name: -passed[name])


def _hidden(first: Attempt, prompt: Prompt) -> Iterator[Planned]:
    for dress in DRESSES:
        said = with_dress(first.conversation, dress)
        id_ = f"{first.round}.answer.harmful.{first.form}.{dress}.{prompt.id}"
        yield Planned(id_, first.round, "answer", "harmful", prompt, first.form, dress, said)
