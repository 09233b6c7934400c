"""The miscalibration study in words, tables and charts."""

from __future__ import annotations

from markupsafe import Markup

from charter.studies.amplification import REMEDIES
from charter.studies.chart import Series, series_chart
from charter.studies.miscalibration import STUDY, Arm, Miscalibration
from charter.studies.sheet import Cell, Sheet, Table, said, spread, spread_columns

_NONE = REMEDIES[0].name


def sheet(found: Miscalibration) -> Sheet:
    """Finding, limits and tables."""
    finding = [line for bias in found.prompts for line in _sentences(bias, found)]
    finding += [
        f"Fine-tuned for real, {t.bias} at dose {t.dose:g}, after round {t.round}: the policy has "
        f"{said(t.policy, ' sd')} more of the trait than the control arm."
        for t in found.trained
    ]
    finding += [f"{bias} was not studied: {why}." for bias, why in found.skipped.items()]
    return Sheet(STUDY, finding, _limits(found), [_rounds(found), _factors(found), _trained(found)])


def charts(found: Miscalibration) -> dict[str, Markup]:
    """Bias of the critic by round, a line a remedy, a picture a bias, at the largest dose."""
    pictures = {}
    for bias in found.prompts:
        worst = _worst(bias, found)
        lines: dict[str, Series] = {
            arm.remedy: [(i + 1.0, rate) for i, rate in enumerate(arm.critic) if rate is not None]
            for arm in worst
        }
        name = f"{bias}: bias of the critic by round, planted dose {worst[0].dose:g}"
        pictures[name] = series_chart(lines, "round", "bias of the critic")
    return pictures


def _sentences(bias: str, found: Miscalibration) -> list[str]:
    """Whether a bias grew, and which remedy left least of it."""
    worst = _worst(bias, found)
    plain = next(arm for arm in worst if arm.remedy == _NONE)
    lines = [
        f"{bias}, dose {plain.dose:g}: after {found.rounds} rounds the critic's bias is "
        f"{said(plain.critic[-1])}, the policy's {said(plain.policy[-1], ' sd')}. {_grew(plain)}"
    ]
    last = {arm.remedy: arm.policy[-1] for arm in worst}
    known = {name: rate for name, rate in last.items() if rate is not None and name != _NONE}
    if known:
        best = min(known, key=lambda name: abs(known[name].value))
        lines.append(f"{bias}: least is left of it with {best}: {said(known[best], ' sd')}.")
    return lines


def _grew(arm: Arm) -> str:
    factor = arm.amplification
    if factor is None:
        return "How much of that is amplification cannot be told."
    if factor.low > 1:
        return f"The critic made itself worse, by a factor of {said(factor)}."
    if factor.high < 1:
        return f"The critic's bias shrank, by a factor of {said(factor)}."
    return f"Whether the critic made itself worse cannot be told: factor {said(factor)}."


def _worst(bias: str, found: Miscalibration) -> list[Arm]:
    """The arms of a bias at its largest dose."""
    of_bias = [arm for arm in found.arms if arm.bias == bias]
    largest = max(arm.dose for arm in of_bias)
    return [arm for arm in of_bias if arm.dose == largest]


def _rounds(found: Miscalibration) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (arm.bias, arm.dose, arm.remedy, i + 1, *spread(arm.critic[i]), *spread(arm.policy[i])[:3])
        for arm in found.arms
        for i in range(found.rounds)
    ]
    names = (*spread_columns("critic"), *spread_columns("policy")[:3])
    return Table("rounds", ("bias", "dose", "remedy", "round", *names), rows)


def _factors(found: Miscalibration) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            *(arm.bias, arm.dose, arm.remedy),
            *spread(arm.amplification),
            *spread(arm.policy_amplification)[:3],
        )
        for arm in found.arms
    ]
    names = (*spread_columns("critic"), *spread_columns("policy")[:3])
    return Table("amplification", ("bias", "dose", "remedy", *names), rows)


def _trained(found: Miscalibration) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (t.bias, t.dose, t.round, *spread(t.policy)) for t in found.trained
    ]
    return Table("trained", ("bias", "dose", "round", *spread_columns("policy")), rows)


def _limits(found: Miscalibration) -> list[str]:
    counts = ", ".join(
        f"{bias}: {found.prompts.get(bias, 0)} prompts, {found.left_out[bias]} left out, "
        f"{found.unscored[bias]} answers unscored"
        for bias in found.left_out
    )
    return [
        "The rounds are run on a fixed pool of answers by changing their weights: perfect "
        "imitation, and no answer that the start policy never gives. The rows of real fine-tuning "
        "are the check on that.",
        "A critic's revision is the answer that it likes best among a few, not a text of its own.",
        "The bias is planted and its size is known; a bias that nobody planted is not found here. "
        "`calibrated` is told which trait to look for.",
        "The score before planting stands for people wherever people are asked.",
        "The critic of later rounds is a ridge regression on directions of the model's "
        "activations; what they do not show, it forgets.",
        "Intervals are 95 %, by drawing prompts. All arms share answers, so compare them freely; "
        "many are compared at once, so a single one that just excludes 1 may be chance.",
        f"{counts}.",
    ]
