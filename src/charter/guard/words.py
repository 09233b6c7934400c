"""A guard made of words: blocks texts that contain one of a list.

The simplest classifier there is, for trying a server out, for tests, and as a floor to compare
with. It does not understand anything, and is no protection by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from charter.errors import DataError
from charter.records import Message, Record, digest


class WordsConfig(Record, frozen=True):
    """Words to look for, and the clause each goes against."""

    words: dict[str, str]


class WordsClassifier:
    """Scores 1 once a text contains one of the words, in any case, and 0 before.

    Args:
        words: clause id by word.
    """

    quick = True

    def __init__(self, words: Mapping[str, str]) -> None:
        self.words = {word.casefold(): clause for word, clause in words.items()}
        self.identity = f"words@{digest(self.words)}"
        self.longest = max(map(len, self.words), default=0)
        parts = sorted(map(re.escape, self.words), key=len, reverse=True)
        self.pattern = re.compile("|".join(parts) if parts else r"(?!)")

    def start(self, conversation: Sequence[Message]) -> WordsStream:
        """A stream that has read the conversation."""
        return WordsStream(self, conversation)


class WordsStream:
    """See `decision.Stream`. Keeps as much of the text as a word may still need."""

    def __init__(self, classifier: WordsClassifier, conversation: Sequence[Message]) -> None:
        self.classifier, self.clauses = classifier, list[str]()
        self._tail, self._score = "", 0.0
        for message in conversation:
            self._look(message.content)
        self.conversation_score = self._score

    def feed(self, text: str) -> float:
        """1 if a word has appeared anywhere in the answer so far."""
        self._tail = self._look(self._tail + text)
        return self._score

    def _look(self, text: str) -> str:
        folded = text.casefold()
        for found in self.classifier.pattern.findall(folded):
            clause = self.classifier.words[found]
            self._score = 1.0
            if clause not in self.clauses:
                self.clauses.append(clause)
        return (
            folded[len(folded) - self.classifier.longest + 1 :] if self.classifier.longest else ""
        )


def load(folder: Path) -> WordsClassifier:
    """The words in `FOLDER/words.json`: `{"words": {WORD: CLAUSE}}`.

    Raises:
        DataError: there is no such file, or it is not one.
    """
    file = folder / "words.json"
    try:
        return WordsClassifier(msgspec.json.decode(file.read_bytes(), type=WordsConfig).words)
    except OSError as error:
        raise DataError("cannot be read", file=file) from error
    except msgspec.MsgspecError as error:
        raise DataError(str(error), file=file, expected='{"words": {WORD: CLAUSE}}') from error
