"""Records of guard data: the material that costs model calls, and the rows that are made of it.

A `Material` is one base prompt with its answers; it is made per category and kept. A `GuardExample`
is one row to train on: a material's prompt, in some form, with or without an answer. Rows are pure
functions of materials, so they are never paid for.
"""

from __future__ import annotations

from typing import Literal

from charter.records import Message, Origin, Prompt, Record, Split, digest

Label = Literal["harmful", "harmless"]
LABELS: tuple[Label, ...] = ("harmful", "harmless")


class LabelledAnswer(Record, frozen=True):
    """An answer and what it is.

    Attributes:
        text: the answer.
        label: of the answer, not of the prompt: a refusal is harmless.
        by: what says so: `library` (a person wrote it to be so), `file`, or a scorer's identity.
    """

    text: str
    label: Label
    by: str


class Material(Record, frozen=True):
    """A base prompt of a category, and answers to it.

    Attributes:
        id: of the base; all rows made of it stay on its side of the split.
        prompt: the conversation that waits for an answer.
        label: of the prompt.
        category: id of the constitution's category; "" for the benign pool and for set-ups.
        clauses: principles that the label rests on.
        source: `library`, `file`, `invented`, `paraphrase` or `translation`.
        parent: id of the base that it is a rewording of; it shares that base's side of the split.
        answers: what was answered.
        unlabelled: answers left out since nothing could say what they are, by reason.
        origin: what made it.
    """

    id: str
    prompt: Prompt
    label: Label
    category: str
    clauses: tuple[str, ...]
    source: str
    origin: Origin
    parent: str = ""
    answers: tuple[LabelledAnswer, ...] = ()
    unlabelled: dict[str, int] = {}


class GuardExample(Record, frozen=True):
    """One row to train or test a guard on.

    Attributes:
        id: base, form, and which answer.
        conversation: turns up to the user's last one, in the form.
        answer: the answer, "" where the row is about the prompt alone.
        label: of the answer if there is one, else of the prompt.
        category: id of the constitution's category, "" for pool rows.
        clauses: principles that the label rests on; never empty.
        form: name of the attack form, or `plain`, or `setup`.
        base: id of the base prompt; split by it.
        split: `train` or `eval`.
        source: see `Material`.
        origin: what made it.
    """

    id: str
    conversation: tuple[Message, ...]
    answer: str
    label: Label
    category: str
    clauses: tuple[str, ...]
    form: str
    base: str
    split: Split
    source: str
    origin: Origin

    @property
    def exchange(self) -> str:
        """Digest of what is judged, whatever the verdict: the key of a map of verdicts."""
        return digest([self.conversation, self.answer])
