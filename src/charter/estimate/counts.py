"""How many prompts a run will use, as far as that can be told without a network.

Owns the difference between what a recipe asks for and what its sources hold.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from charter.prompts.sets import LIBRARY
from charter.recipe import Recipe
from charter.records import Prompt, Record
from charter.selection import Prompts

_USES = {
    "critique_redteam": ("redteam", "critique"),
    "sft_benign": ("benign", "sft"),
    "sft_borderline": ("borderline", "sft"),
    "pairs_redteam": ("redteam", "pairs"),
    "pairs_benign": ("benign", "pairs"),
    "eval_redteam": ("redteam", "evaluate"),
    "eval_benign": ("benign", "evaluate"),
    "eval_borderline": ("borderline", "evaluate"),
}
_CHARS_A_TOKEN, _FORMAT_TOKENS = 4.0, 30
_PROMPT_TOKENS = 60


class Counts(Record, frozen=True):
    """Prompts by use, the usual length of one, and what was not as the recipe says."""

    critique: int
    sft: int
    pairs: int
    evaluate: int
    prompt_tokens: int
    notes: tuple[str, ...] = ()


def count(recipe: Recipe) -> Counts:
    """Read the prompts that lie on this machine; of the hub's, take what the recipe asks for.

    Raises:
        DataError: as the run itself would, for files that are missing or wrong.
    """
    wanted = recipe.prompts
    away = {kind for kind in LIBRARY if _on_hub(getattr(wanted, kind))}
    unread = {use: 0 for use, (kind, _) in _USES.items() if kind in away}
    prompts = Prompts(replace(recipe, prompts=replace(wanted, **unread)))
    found = {name: len(getattr(prompts, name)) for name in ("critique", "sft", "pairs", "evaluate")}
    asked = dict.fromkeys(found, 0)
    for use, (_, name) in _USES.items():
        number = getattr(wanted, use)
        asked[name] += number
        found[name] += number if use in unread else 0
    notes = [
        f"{getattr(wanted, k)} was not read: its counts are the recipe's" for k in sorted(away)
    ]
    notes += [
        f"{name}: the sources hold {found[name]:,} of the {number:,} prompts asked for"
        for name, number in asked.items()
        if found[name] < number
    ]
    tokens = recipe.plan.prompt_tokens or _usual([*prompts.critique, *prompts.sft, *prompts.pairs])
    return Counts(**found, prompt_tokens=tokens, notes=tuple(dict.fromkeys(notes)))


def _on_hub(source: str) -> bool:
    """Whether reading a source would need the network."""
    return source.startswith("hf:") and not Path(source[3:].partition(":")[0]).is_dir()


def _usual(prompts: list[Prompt]) -> int:
    if not prompts:
        return _PROMPT_TOKENS
    letters = sum(len(m.content) for p in prompts for m in p.messages) / len(prompts)
    return round(letters / _CHARS_A_TOKEN) + _FORMAT_TOKENS
