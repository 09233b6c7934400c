"""The acceptance test of a judge, before money is spent on its labels.

Owns what is asked, what is reported, and what counts as a pass. The asking is `trials`, the
arithmetic `acceptance_figures`, the thresholds `acceptance_config`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from charter.constitution.document import Constitution
from charter.judging import acceptance_figures as figures
from charter.judging.acceptance_config import AcceptanceConfig
from charter.judging.acceptance_figures import Share, share
from charter.judging.calibration import reliability
from charter.judging.canaries import canaries, principles_for
from charter.judging.pairs import LabelledPair
from charter.judging.progress import Progress, silent
from charter.judging.trials import Plan, PrinciplesOf, Trial, run_trials
from charter.records import Comparison, Judge, Record
from charter.statistics import Rate

STAGE = "judge test"


class Gate(Record, frozen=True):
    """One thing a judge must show. `passed` is None if nothing could be measured."""

    name: str
    rule: str
    value: float | None
    passed: bool | None

    def __str__(self) -> str:
        """What was asked, and what was found."""
        found = "nothing" if self.value is None else f"{self.value:.3f}"
        return f"{self.name}: {self.rule}, found {found}"


class Acceptance(Record, frozen=True):
    """The result. The first five fields are a contract with other programs.

    `rates` has the interval, n and the number left out of every share; the fields before it are
    their plain values, None where nothing could be measured.
    """

    agreement: Rate
    position_consistency: float | None
    ece: float | None
    abstained: int
    injection_flips: float | None
    length_matched: float | None
    length_balanced: float | None
    paraphrase_stability: float | None
    canaries: float | None
    tie_rate: float | None
    ece_by_chance: float | None
    """Calibration error that a perfect judge would show on so many pairs."""
    brier: float | None
    nll: float | None
    passed: bool
    failures: list[str]
    not_checked: list[str]
    pairs: int
    judge: str
    gates: list[Gate]
    rates: dict[str, Share]
    baselines: dict[str, Rate | None]
    """On the same pairs: `longer_wins`, and a five-fold `bag_of_words` (None under 50 pairs)."""
    injection_by_form: dict[str, Share]
    canaries_missed: list[str]
    canaries_left_out: int
    """Canaries on matters that the constitution is silent on."""
    abstention_reasons: dict[str, int]
    calibration: list[dict[str, Any]]
    """Reliability bins; see `calibration.reliability`."""


def accept(
    judge: Judge,
    pairs: Sequence[LabelledPair],
    constitution: Constitution,
    config: AcceptanceConfig,
    *,
    principles_of: PrinciplesOf,
    seed: int = 0,
    progress: Progress = silent,
) -> Acceptance:
    """Test a judge on pairs labelled by people.

    Args:
        judge: must know the principles of `with_paraphrases(constitution, config.paraphrases)`.
        pairs: at least one.
        constitution: says which canaries apply.
        config: thresholds, and how much is tried.
        principles_of: what a comparison is judged by; the same as when the judge labels.
        seed: of the order in which answers are presented, and of the injections.
        progress: told how many pairs are done.
    """
    plan = Plan(principles_of, config.paraphrases, config.injections, config.stress_pairs, seed)
    trials = []
    for trial in run_trials(judge, pairs, plan):
        trials.append(trial)
        progress(STAGE, len(trials), len(pairs))
    return report(trials, _canary_trials(judge, constitution, seed), config, judge.identity)


def report(
    trials: Sequence[Trial], known: Sequence[Trial], config: AcceptanceConfig, judge: str
) -> Acceptance:
    """Everything that the trials of pairs, and of canaries (`known`), say of a judge."""
    judged = [t for t in trials if t.reading.p is not None]
    found = reliability(
        [t.reading.p for t in judged if t.reading.p is not None], [t.pair.p_a for t in judged]
    )
    agreement, rates = figures.agreement(trials), _rates(trials, known)
    abstained = len(trials) - len(judged)
    ece = found["ece"], figures.ece_by_chance(trials)
    gates = _gates(config, agreement, rates, ece, abstained / max(1, len(trials)))
    values = {name: rates[name].value for name in _VALUES}
    pairs = [t.pair for t in trials]
    return Acceptance(
        agreement=agreement,
        ece=ece[0],
        ece_by_chance=ece[1],
        abstained=abstained,
        **values,
        brier=found["brier"],
        nll=found["nll"],
        passed=not any(g.passed is False for g in gates),
        failures=[str(g) for g in gates if g.passed is False],
        not_checked=[g.name for g in gates if g.passed is None],
        pairs=len(trials),
        judge=judge,
        gates=gates,
        rates=rates,
        baselines={
            "longer_wins": figures.longer_wins(pairs),
            "bag_of_words": figures.bag_of_words(pairs),
        },
        injection_by_form=figures.injection_by_form(trials),
        canaries_missed=figures.missed(known),
        canaries_left_out=len(canaries()) - len(known),
        abstention_reasons=figures.reasons(trials),
        calibration=found["calibration"],
    )


_VALUES = (
    "position_consistency",
    "injection_flips",
    "length_matched",
    "length_balanced",
    "paraphrase_stability",
    "canaries",
    "tie_rate",
)


def _rates(trials: Sequence[Trial], known: Sequence[Trial]) -> dict[str, Share]:
    agreed, obvious = figures.agreement(trials), figures.agreement(known)
    return {
        "agreement": share(agreed, len(trials) - agreed.n),
        "abstained": figures.abstained(trials),
        "position_consistency": figures.position_consistency(trials),
        "injection_flips": figures.injection_flips(trials),
        "control_flips": figures.injection_flips(trials, control=True),
        "length_matched": figures.length_matched(trials),
        "length_balanced": figures.length_balanced(trials),
        "paraphrase_stability": figures.paraphrase_stability(trials),
        "canaries": share(obvious, len(known) - obvious.n),
        "tie_rate": figures.tie_rate(trials),
    }


def _gates(
    config: AcceptanceConfig,
    agreement: Rate,
    rates: dict[str, Share],
    ece: tuple[float | None, float | None],
    abstained: float,
) -> list[Gate]:
    balanced = rates["length_balanced"]
    return [
        _gate("agreement", agreement.low, above=config.min_agreement),
        _gate(
            "length_balanced",
            balanced.low if balanced.n else None,
            above=config.min_length_balanced,
        ),
        _at_least(rates, "position_consistency", config.min_position_consistency),
        _at_least(rates, "paraphrase_stability", config.min_paraphrase_stability),
        _at_least(rates, "canaries", config.min_canaries),
        _at_most("injection_flips", rates["injection_flips"].value, config.max_injection_flips),
        _calibrated(*ece, config.max_ece),
        _at_most("abstained", abstained, config.max_abstained),
    ]


def _gate(name: str, low: float | None, *, above: float) -> Gate:
    rule = f"95 % interval above {above:g}"
    return Gate(name, rule, low, None if low is None else low > above)


def _at_least(rates: dict[str, Share], name: str, least: float) -> Gate:
    value = rates[name].value
    return Gate(name, f"at least {least:g}", value, None if value is None else value >= least)


def _at_most(name: str, value: float | None, most: float) -> Gate:
    return Gate(name, f"at most {most:g}", value, None if value is None else value <= most)


def _calibrated(ece: float | None, by_chance: float | None, most: float) -> Gate:
    if ece is None or by_chance is None:
        return Gate("ece", f"at most {most:g} above chance", None, None)
    rule = f"at most {most:g} above chance, which gives {by_chance:.3f}"
    return Gate("ece", rule, ece, ece - by_chance <= most)


def _canary_trials(judge: Judge, constitution: Constitution, seed: int) -> list[Trial]:
    drawn = {c.pair().comparison.id: principles_for(c, constitution) for c in canaries()}
    pairs = [pair for c in canaries() if drawn[(pair := c.pair()).comparison.id]]

    def principles_of(comparison: Comparison) -> Sequence[tuple[str, float]]:
        return drawn[comparison.id]

    return list(run_trials(judge, pairs, Plan(principles_of, seed=seed)))
