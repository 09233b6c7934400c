"""Sending planned attempts: in portions, judged and written down before the next portion goes out.

Owns that nothing is lost and nothing is sent twice. Knows nothing of forms, stages or counting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from charter.guard.redteam.attempt import Attempt
from charter.guard.redteam.judging import Judge, Verdict
from charter.guard.redteam.plan import Planned
from charter.guard.redteam.target import Answered, Target
from charter.records import Origin, Sampling
from charter.seeds import derive
from charter.store import RecordLog

STAGE = "redteam"
_PORTION = 64
Report = Callable[[str, int, int], None]


@dataclass
class Sender:
    """Makes attempts.

    Attributes:
        judge: reads the answers.
        log: where attempts are kept; what is in it already is not sent again.
        sampling: of the answers.
        seed: of the campaign.
        report: called with what is done, how much of it, of how much.
    """

    judge: Judge
    log: RecordLog
    sampling: Sampling
    seed: int
    report: Report = lambda *_: None
    _known: dict[str, Attempt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what an earlier call has made."""
        self.log.repair()
        self._known = {attempt.id: attempt for attempt in self.log}

    def send(self, target: Target, planned: Iterable[Planned], doing: str) -> list[Attempt]:
        """One attempt each, in order.

        Raises:
            ModelError: the target is gone; what was made until then is kept.
        """
        wanted = list(planned)
        todo = [p for p in wanted if p.id not in self._known]
        done = len(wanted) - len(todo)
        for side in ("harmful", "benign"):
            for portion in portions([p for p in todo if p.side == side]):
                made = self._made(target, portion)
                self.log.append(made)
                self._known.update((attempt.id, attempt) for attempt in made)
                done += len(made)
                self.report(doing, done, len(wanted))
        return [self._known[p.id] for p in wanted]

    def _made(self, target: Target, portion: list[Planned]) -> list[Attempt]:
        seed = derive(self.seed, STAGE, portion[0].round)
        answered = target.ask([p.conversation for p in portion], self.sampling, seed)
        asked, side = [p.prompt for p in portion], portion[0].side
        verdicts = self.judge.verdicts(side, asked, answered)
        origin = Origin(STAGE, target.identity, sampling=self.sampling, seed=seed)
        rows = zip(portion, answered, verdicts, strict=True)
        return [self._attempt(p, a, v, origin) for p, a, v in rows]

    def _attempt(self, p: Planned, answered: Answered, verdict: Verdict, origin: Origin) -> Attempt:
        return Attempt(
            p.id,
            p.round,
            p.step,
            p.side,
            p.prompt.id,
            p.prompt.category,
            p.prompt.split,
            p.form,
            p.dress,
            p.conversation,
            answered.text,
            verdict.outcome,
            answered.stage,
            verdict.score,
            verdict.reason,
            self.judge.identity,
            origin,
        )


def portions(planned: list[Planned]) -> list[list[Planned]]:
    """The same in lists of a few dozen."""
    return [planned[i : i + _PORTION] for i in range(0, len(planned), _PORTION)]
