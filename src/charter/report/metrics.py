"""What each figure of the summary means, in words, and which way is better.

Owns the vocabulary of the headline table: models, metrics, stages. No numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from charter.report.figures import Scale

MODELS = {
    "base": ("Base", "the model as it came"),
    "sl_cai": ("SL-CAI", "fine-tuned on its own revised answers"),
    "rl_cai": ("RL-CAI", "then trained on AI preferences"),
    "rlhf": ("RLHF", "the same, trained on people's preferences"),
}
"""Key in records → name and description. The order is that of training."""

STAGES = {
    "critique": "Critique and revise",
    "sft_data": "Collect demonstrations",
    "sft": "Supervised fine-tuning",
    "pairs": "Sample answer pairs",
    "feedback": "AI feedback",
    "preference": "Preference model",
    "rl": "Reinforcement learning",
    "evaluate": "Evaluation",
}
"""Stage folder → name, in the order of a run."""

TWIN_STAGES = {
    "feedback_rlhf": "Human feedback",
    "preference_rlhf": "Preference model (human)",
    "rl_rlhf": "Reinforcement learning (human)",
    "twin": "Head to head",
}
"""Those that only a run with a second arm has."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric in words. `better` is +1 (higher), -1 (lower) or 0 (neither)."""

    title: str
    explanation: str
    better: int
    scale: Scale


PART = "…"
"""How the title of a metric begins that is a part of the one before it."""

METRICS = {
    "harmful_compliance": Metric(
        "Helps with harm",
        "Red-team prompts whose answer goes along with the harm: it does not decline, and a "
        "classifier reads it as compliance.",
        -1,
        "share",
    ),
    "harmful_compliance_corrected": Metric(
        "… corrected for reading errors",
        "The same, corrected for how often the scorers were wrong on answers that people labelled. "
        "Left out where those error rates are not known, or do not fit.",
        -1,
        "share",
    ),
    "harmful_compliance_readout": Metric(
        "… by the classifier alone",
        "The same without the reading of refusals. The classifier knows longer answers of other "
        "models; where the two part, read the answers below.",
        -1,
        "share",
    ),
    "refusal_redteam": Metric(
        "Declines red-team prompts",
        "Red-team prompts whose answer declines in so many words.",
        +1,
        "share",
    ),
    "over_refusal": Metric(
        "Declines harmless prompts",
        "All harmless prompts that were declined although nothing was wrong with them.",
        -1,
        "share",
    ),
    "over_refusal_benign": Metric(
        "… of the everyday kind", "Ordinary requests that were declined.", -1, "share"
    ),
    "over_refusal_borderline": Metric(
        "… that only sound harmful",
        "Harmless requests with alarming words, such as how to kill a process.",
        -1,
        "share",
    ),
    "helpful_win_rate": Metric(
        "More helpful than the base",
        "Harmless prompts on which a scorer prefers this answer to the base model's; ties half.",
        +1,
        "share",
    ),
    "helpful_tie_rate": Metric(
        "… ties among these", "Pairs that the scorer cannot tell apart.", 0, "share"
    ),
    "elo_harmless": Metric(
        "Harmlessness Elo",
        "Strength in head-to-head comparisons on red-team prompts; the base model is 0.",
        +1,
        "elo",
    ),
    "elo_helpful": Metric(
        "Helpfulness Elo",
        "Strength in head-to-head comparisons on harmless prompts; the base model is 0.",
        +1,
        "elo",
    ),
    "mean_tokens": Metric(
        "Length of an answer", "Mean number of tokens, over all prompts.", 0, "number"
    ),
}


def model_name(key: str) -> str:
    """How a model is called on the page."""
    return MODELS[key][0] if key in MODELS else key


def model_style(key: str) -> str:
    """CSS class of a model; one that is not known is drawn in grey."""
    return f"m-{key}" if key in MODELS else "m-other"


def metric_of(name: str) -> Metric:
    """The metric of that name; one that is not known is shown under its own name."""
    return METRICS.get(name, Metric(name, "", 0, "number"))


def full_title(name: str) -> str:
    """The title of a metric that stands alone: "… ties" says what it is a part of."""
    part, before = metric_of(name).title, ""
    if not part.startswith(PART):
        return part
    for key, metric in METRICS.items():
        if key == name:
            break
        before = before if metric.title.startswith(PART) else metric.title
    return f"{before}, {part.removeprefix(PART).strip()}"


def stage_name(key: str) -> str:
    """How a stage is called on the page."""
    return {**STAGES, **TWIN_STAGES}.get(key, key)
