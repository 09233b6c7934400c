"""From conversations to token ids, in a model's own chat format.

Owns: telling a template's own text from the text of messages, which is untrusted: a message that
spells out a control token must not end its turn or open another one. Knows no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from charter.records import Message

_MARK = "\u241f"
"""Stands around a message's number while the template is laid out."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a rendered conversation; `own` if the template wrote it."""

    text: str
    own: bool


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """The chat template of a tokenizer, applied so that text stays text."""

    tokenizer: PreTrainedTokenizerBase

    def render(self, messages: Sequence[Message], *, open_answer: bool = True) -> list[int]:
        """Token ids of a conversation.

        Args:
            messages: the conversation.
            open_answer: end with the header of an assistant turn, so that an answer may follow.
        """
        if self._hostile(m.content for m in messages):
            return self.ids(self.pieces(messages, open_answer=open_answer))
        ids = self.tokenizer.apply_chat_template(
            _turns(messages), add_generation_prompt=open_answer, return_dict=False
        )
        return [int(token) for token in ids]  # type: ignore[arg-type]

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text, no special tokens added or recognised."""
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        return [int(token) for token in encoded["input_ids"]]

    def pieces(self, messages: Sequence[Message], *, open_answer: bool = True) -> list[Piece]:
        """The rendered conversation, cut around its messages; the template's text comes last."""
        marked = [Message(m.role, f"{_MARK}{i}{_MARK}") for i, m in enumerate(messages)]
        text = self.tokenizer.apply_chat_template(
            _turns(marked), tokenize=False, add_generation_prompt=open_answer
        )
        return [
            Piece(messages[int(part)].content, False) if place % 2 else Piece(part, True)
            for place, part in enumerate(str(text).split(_MARK))
        ]

    def questions(
        self, prefix: Sequence[Message], suffixes: Sequence[str]
    ) -> tuple[list[int], list[list[int]]]:
        """Token ids of a conversation's beginning, and of each of its possible endings.

        Args:
            prefix: the conversation, to which an ending adds.
            suffixes: what its last message may end with.

        Returns:
            what all have in common, up to the suffix; each suffix, up to the open answer.
        """
        *opening, closing = self.pieces(prefix)
        close = self.ids([closing])
        return self.ids(opening), [[*self.encode(suffix), *close] for suffix in suffixes]

    def ids(self, pieces: Sequence[Piece]) -> list[int]:
        """Token ids of pieces; control tokens are recognised in the template's own text only."""
        if self._hostile(piece.text for piece in pieces if not piece.own):
            return [i for p in pieces for i in (self._special if p.own else self.encode)(p.text)]
        # In one go, as models are trained: a token may reach over the edge of a message.
        return self._special("".join(piece.text for piece in pieces))

    def _special(self, text: str) -> list[int]:
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [int(token) for token in ids]

    def _hostile(self, texts: Iterable[str]) -> bool:
        """Whether a text spells out a control token."""
        added = self.tokenizer.added_tokens_decoder.values()
        controls = [str(token) for token in added if token.special]
        return any(control in text for text in texts for control in controls)


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in messages]
