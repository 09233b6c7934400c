"""A guard put before a target in this process: same windows, thresholds and verdicts as served.

Owns the order: prompt, target, answer. Knows nothing of how guards are loaded or trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from charter.guard.checking import TextCheck
from charter.guard.config import GuardSettings
from charter.guard.decision import Classifier, Stream
from charter.guard.redteam.target import Answered, Target
from charter.records import Message, Sampling


@dataclass(frozen=True, slots=True)
class Defence:
    """A classifier and the settings that it is run with."""

    classifier: Classifier
    settings: GuardSettings


@dataclass(frozen=True, slots=True)
class GuardedTarget:
    """See `Target`."""

    target: Target
    defence: Defence

    @property
    def identity(self) -> str:
        """Both identities."""
        return f"{self.target.identity}+{self.defence.classifier.identity}"

    def ask(
        self, conversations: Sequence[tuple[Message, ...]], sampling: Sampling, seed: int
    ) -> list[Answered]:
        """See `Target`. What is blocked as a prompt never reaches the target."""
        refused = Answered(self.defence.settings.refusal, blocked=True, stage="prompt")
        streams = [self.defence.classifier.start(said) for said in conversations]
        passed = [place for place, stream in enumerate(streams) if not self._blocks(stream)]
        asked = self.target.ask([conversations[i] for i in passed], sampling, seed)
        found = [refused] * len(streams)
        for place, answered in zip(passed, asked, strict=True):
            found[place] = self._checked(streams[place], answered)
        return found

    def _blocks(self, stream: Stream) -> bool:
        thresholds, score = self.defence.settings.thresholds, stream.conversation_score
        return thresholds.decide("prompt", score, stream.clauses).action == "block"

    def _checked(self, stream: Stream, answered: Answered) -> Answered:
        if answered.blocked or answered.failure:
            return answered
        settings = self.defence.settings
        check = TextCheck(stream, settings.window, settings.thresholds)
        check.push(answered.text)
        check.settle()
        if not check.blocked:
            return answered
        return Answered(settings.refusal, blocked=True, stage="answer")
