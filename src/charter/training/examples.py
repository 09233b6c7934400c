"""Training examples as text, and as token ids with the answer told apart from its prompt.

Owns cutting to length and the end-of-turn token. Knows no loss; the chat format is the model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from charter.errors import DataError, ModelError
from charter.models.hf import HFModel
from charter.records import Comparison, Message

_MARKER = "\u241f"

Labels = Literal["soft", "hard"]
"""Whether training aims at probabilities or at the answer they prefer; see `target`."""


@dataclass(frozen=True, slots=True)
class ChatExample:
    """A conversation and the answer to imitate."""

    messages: tuple[Message, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class PairExample:
    """Two answers to one conversation and the probability that `a` is the better one.

    `weight` is its share in the loss, that of others being 1.
    """

    messages: tuple[Message, ...]
    a: str
    b: str
    p_a: float
    weight: float = 1.0


def pair_example(comparison: Comparison, p_a: float, weight: float = 1.0) -> PairExample:
    """A training pair from a comparison and its soft label."""
    return PairExample(comparison.prompt.messages, comparison.a, comparison.b, p_a, weight)


def target(p_a: float, labels: Labels) -> float:
    """What is learnt from a label: the probability itself, or only which answer it prefers.

    Hard labels are what most pipelines train on, here to compare with. A tie stays ½.
    """
    return p_a if labels == "soft" or p_a == 0.5 else float(p_a > 0.5)


@dataclass(frozen=True, slots=True)
class TokenRow:
    """Ids of a prompt and of its answer; only the answer's are predicted."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """Two rows with the same conversation, their soft label, and the reference's log-likelihoods.

    `ref_a` and `ref_b` are sums over the answers' tokens, in nats (0 where none is used).
    """

    a: TokenRow
    b: TokenRow
    p_a: float
    ref_a: float = 0.0
    ref_b: float = 0.0
    weight: float = 1.0

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))


@dataclass(frozen=True, slots=True)
class Tokeniser:
    """Turns conversations and answers into rows of at most `max_length` tokens.

    `end` is the id that closes an assistant's turn.
    """

    model: HFModel
    max_length: int
    end: int

    @classmethod
    def of(cls, model: HFModel, max_length: int) -> Tokeniser:
        """A tokeniser whose `end` is read off the model's chat template."""
        return cls(model, max_length, end_of_turn(model))

    def row(self, prompt: Sequence[int], answer: str) -> TokenRow:
        """Join a rendered prompt and an answer.

        The answer comes first: it loses its end only where it alone fills `max_length`, and then
        has no end-of-turn token, so that nobody learns to stop there. The prompt loses its start
        except for its very first token, which attention leans on.
        """
        ids = (*self.model.encode(answer), self.end)[: self.max_length - 1]
        room = self.max_length - len(ids)
        kept = tuple(prompt)
        if len(kept) > room:
            kept = (kept[0], *kept[len(kept) - room + 1 :])
        return TokenRow(kept, ids)

    def chat(self, examples: Sequence[ChatExample]) -> list[TokenRow]:
        """One row an example.

        Raises:
            DataError: an answer is empty.
        """
        for index, example in enumerate(examples):
            _require_text(example.answer, f"examples[{index}].answer")
        return [self.row(self.model.render(e.messages), e.answer.strip()) for e in examples]

    def pairs(self, pairs: Sequence[PairExample]) -> list[TokenPair]:
        """One token pair an example; the prompt is rendered once.

        Raises:
            DataError: an answer is empty, or a label is not a probability.
        """
        return [self._pair(pair, index) for index, pair in enumerate(pairs)]

    def _pair(self, pair: PairExample, index: int) -> TokenPair:
        _require_text(pair.a, f"pairs[{index}].a")
        _require_text(pair.b, f"pairs[{index}].b")
        if not 0 <= pair.p_a <= 1:
            raise DataError(
                f"{pair.p_a!r} is not a probability",
                field=f"pairs[{index}].p_a",
                expected="a number from 0 to 1",
            )
        prompt = self.model.render(pair.messages)
        a, b = self.row(prompt, pair.a.strip()), self.row(prompt, pair.b.strip())
        return TokenPair(a, b, pair.p_a, weight=pair.weight)


def end_of_turn(model: HFModel) -> int:
    """The id that the chat template puts behind an assistant's answer and that ends generation.

    Raises:
        ModelError: the tokenizer names no such token.
    """
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": _MARKER}]
    text = str(model.tokenizer.apply_chat_template(turns, tokenize=False))
    tail = model.tokenizer(text.rpartition(_MARKER)[2], add_special_tokens=False)["input_ids"]
    ends = model.end_ids()
    if not ends:
        raise ModelError(f"the tokenizer of {model.identity} has no end-of-sequence token")
    return next((int(token) for token in tail if token in ends), ends[0])


def _require_text(answer: str, field: str) -> None:
    if not answer.strip():
        raise DataError("the answer is empty", field=field, expected="some text")
