"""What a recipe will cost on this machine: calls, tokens and seconds by stage, before it is run.

Rates are measured here and now, on the model of the recipe; token counts are upper bounds from the
recipe, scaled by how much of a length limit answers fill on average.
"""

from __future__ import annotations

import time

import msgspec
import torch

from charter.models import hf
from charter.recipe import Recipe
from charter.records import Message, Record, Request, Sampling
from charter.rl import BEST_OF_N
from charter.selection import Prompts
from charter.training.settings import TrainSettings

_FILL = 0.85
"""Share of `max_tokens` that answers use on average."""
_CONTEXT = 60
"""Tokens of a rendered request, chat format included."""
_PROBE_ROWS, _PROBE_TOKENS = 32, 12


class StageEstimate(Record, frozen=True):
    """One stage: model calls, tokens by kind of work, and seconds."""

    stage: str
    calls: int
    generated: int
    read: int
    trained: int
    seconds: float


class Rates(Record, frozen=True):
    """Tokens a second."""

    generate: float
    read: float
    train: float


class Estimate(Record, frozen=True):
    """A recipe's cost."""

    rates: Rates
    stages: tuple[StageEstimate, ...]
    seconds: float


def estimate(recipe: Recipe) -> Estimate:
    """Read the prompts, measure the machine for some seconds, and add up the stages.

    Raises:
        CharterError: as the run itself would, for wrong input or a missing model.
    """
    prompts = Prompts(recipe)
    rates = measure(hf.load(recipe.model))
    stages = tuple(_seconds(stage, rates) for stage in _stages(recipe, prompts))
    return Estimate(rates, stages, sum(stage.seconds for stage in stages))


def measure(model: hf.HFModel) -> Rates:
    """Rates of generation, reading and adapter training on this machine."""
    message = Message("user", "Describe a walk through a town in autumn, street by street.")
    sampling = Sampling(max_tokens=_PROBE_TOKENS)
    requests = [Request((message,), sampling, seed) for seed in range(_PROBE_ROWS)]
    model.generate(requests[:4])
    started = time.perf_counter()
    made = model.generate(requests)
    generated = sum(completion.tokens for completion in made)
    generate = generated / (time.perf_counter() - started)
    return Rates(generate, _reading_rate(model), _training_rate(model))


def _probe(model: hf.HFModel) -> torch.Tensor:
    return torch.randint(0, 1000, (8, 128), device=model.device)


def _reading_rate(model: hf.HFModel) -> float:
    ids = _probe(model)
    with torch.inference_mode():
        started = time.perf_counter()
        model.backbone()(input_ids=ids, use_cache=False)
    return ids.numel() / (time.perf_counter() - started)


def _training_rate(model: hf.HFModel) -> float:
    """Forward and backward through every block; weights' own gradients are left out, as in LoRA."""
    ids = _probe(model)
    embedded = model.net.get_input_embeddings()(ids).detach().requires_grad_()
    model.net.requires_grad_(False)
    started = time.perf_counter()
    hidden = model.backbone()(inputs_embeds=embedded, use_cache=False).last_hidden_state
    hidden.float().mean().backward()
    return ids.numel() / (time.perf_counter() - started)


def _stages(recipe: Recipe, prompts: Prompts) -> list[StageEstimate]:
    answers = 2 * len(prompts.pairs) * recipe.feedback.pairs_per_prompt
    arm = [
        _reading("feedback", answers, recipe.feedback.answer),
        _training("preference", answers, recipe.preference.train, _limit(recipe)),
        _rl(recipe, prompts, answers),
    ]
    return [
        _critique(recipe, len(prompts.critique)),
        _answers("sft_data", len(prompts.sft), recipe.sft.helpful),
        _training("sft", _demonstrations(recipe, prompts), recipe.sft.train, _limit(recipe)),
        _answers("pairs", answers, recipe.feedback.answer),
        *arm,
        *(_again(stage) for stage in arm if recipe.twin.judge),
        _evaluate(recipe, len(prompts.evaluate)),
    ]


def _rl(recipe: Recipe, prompts: Prompts, answers: int) -> StageEstimate:
    """Learning from pairs, or sampling and learning from the samples."""
    config = recipe.rl
    if not config.on_policy:
        return _training("rl", answers, config.train, _limit(recipe))
    if config.method == BEST_OF_N:
        best = config.best_of_n
        samples, limit = len(prompts.pairs) * best.n, best.max_new_tokens
        learnt = len(prompts.pairs) * config.train.epochs * (best.when == "training")
    elif config.method in ("ppo", "reinforce"):
        ppo = msgspec.structs.replace(config.ppo, method=config.method).resolved()
        samples, limit = ppo.steps * ppo.prompts_per_step * ppo.group, ppo.max_new_tokens
        learnt = float(samples * ppo.epochs)
    else:
        online = config.online
        samples = online.steps * online.prompts_per_step * online.group
        limit, learnt = online.max_new_tokens, float(samples)
    row = _CONTEXT + _FILL * limit
    generated = int(samples * _FILL * limit)
    return StageEstimate("rl", samples, generated, int(samples * row), int(learnt * row), 0.0)


def _again(stage: StageEstimate) -> StageEstimate:
    """A stage of the second arm; people's labels are there already."""
    name = f"{stage.stage}_rlhf"
    if stage.stage == "feedback":
        return StageEstimate(name, 0, 0, 0, 0, 0.0)
    return msgspec.structs.replace(stage, stage=name)


def _critique(recipe: Recipe, count: int) -> StageEstimate:
    config, chains = recipe.critique, count * len(recipe.critique.arms)
    a_round = config.critique.max_tokens + config.revision.max_tokens
    generated = count * config.draft.max_tokens + chains * config.rounds * a_round
    calls = count + 2 * chains * config.rounds
    return _stage("critique", calls, generated=generated, read=calls * 2 * _CONTEXT)


def _answers(name: str, calls: int, sampling: Sampling) -> StageEstimate:
    return _stage(name, calls, generated=calls * sampling.max_tokens, read=calls * _CONTEXT)


def _reading(name: str, calls: int, sampling: Sampling) -> StageEstimate:
    return _stage(name, calls, read=calls * (sampling.max_tokens + _CONTEXT // 2))


def _training(name: str, examples: int, train: TrainSettings, limit: int) -> StageEstimate:
    tokens = examples * train.epochs * (_CONTEXT + _FILL * limit)
    return StageEstimate(name, 0, 0, 0, int(tokens), 0.0)


def _evaluate(recipe: Recipe, count: int) -> StageEstimate:
    models = 4 if recipe.twin.judge else 3
    answers, calls = recipe.evaluate.answers, models * count
    read = calls * (2 * _CONTEXT + answers.max_tokens)
    return _stage("evaluate", calls, generated=calls * answers.max_tokens, read=read)


def _stage(name: str, calls: int, *, generated: int = 0, read: int = 0) -> StageEstimate:
    return StageEstimate(name, calls, int(_FILL * generated), read, 0, 0.0)


def _demonstrations(recipe: Recipe, prompts: Prompts) -> int:
    rounds = recipe.critique.rounds if recipe.sft.rounds == "all" else 1
    return len(prompts.critique) * rounds + len(prompts.sft)


def _limit(recipe: Recipe) -> int:
    return max(recipe.critique.revision.max_tokens, recipe.feedback.answer.max_tokens)


def _seconds(stage: StageEstimate, rates: Rates) -> StageEstimate:
    seconds = (
        stage.generated / rates.generate + stage.read / rates.read + stage.trained / rates.train
    )
    return StageEstimate(
        stage.stage, stage.calls, stage.generated, stage.read, stage.trained, round(seconds, 1)
    )
