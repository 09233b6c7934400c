"""Memory by stage, in 10^9 bytes, from the size of a model and the settings of a stage.

Weights, gradients and AdamW's two moments are counted. Activations follow Korthikanti et al. 2022
(*Reducing activation recomputation in large transformer models*, arXiv 2205.05198, eq. 1): 34
bytes a token, unit of width and block in 16 bits, without the attention matrix, which fused
attention never writes. What a library holds for itself is not counted.
"""

from __future__ import annotations

from charter.estimate.machine import BATCH_ROWS, WEIGHT_BYTES, Machine, kv_bytes_a_token
from charter.estimate.shape import EMBEDDED_SHAPE, ModelShape
from charter.estimate.work import Planner
from charter.models.endpoint import is_remote
from charter.recipe import Recipe
from charter.records import Record
from charter.rl import BEST_OF_N, PREFERENCE
from charter.training.settings import Tuning

GB = 1e9
_ADAM_AND_GRADIENT = 3 * WEIGHT_BYTES
_ACTIVATION_16 = 34
_LOGIT_CHUNK = 512
"""Target tokens whose logits are held at once (see `training.gathered`)."""
_TYPICAL_TOKENS = 512
"""Tokens of a sampled row from which fewer rows go together (see `models.hf`)."""


class Memory(Record, frozen=True):
    """The parts of a stage's peak, in GB."""

    weights: float = 0.0
    """All models held, and their 16-bit copies where training makes them."""
    optimizer: float = 0.0
    """Gradients and AdamW's moments."""
    activations: float = 0.0
    """Of a training step, logits included."""
    cache: float = 0.0
    """Keys and values of rows that are being sampled."""

    @property
    def total(self) -> float:
        """The sum, an upper bound where parts are not held at the same time."""
        return self.weights + self.optimizer + self.activations + self.cache


class MemoryPlan:
    """What each stage of a recipe holds.

    Args:
        recipe: what would be run.
        shape: the size of its model.
        machine: training computes in 16 bits on a GPU, else in float32.
        planner: knows how long rows are.
    """

    def __init__(
        self, recipe: Recipe, shape: ModelShape, machine: Machine, planner: Planner
    ) -> None:
        self.recipe, self.shape, self.machine, self.planner = recipe, shape, machine, planner

    def of(self, stage: str) -> Memory:
        """The parts of one stage, by its name."""
        stage = stage.removesuffix("_rlhf")
        recipe, answer = self.recipe, self.recipe.feedback.answer.max_tokens
        if stage == "critique":
            writes = recipe.critique.rounds * recipe.critique.revision.max_tokens
            return self._sampling(self._critics(), answer + writes)
        if stage == "sft_data":
            return self._sampling(1, recipe.sft.helpful.max_tokens)
        if stage == "pairs":
            return self._sampling(1 if not recipe.feedback.pairs else 0, answer)
        if stage == "feedback":
            return self._sampling(self._local_judges(recipe.feedback.judge), 2 * answer)
        if stage == "evaluate":
            held = self._sampling(1, recipe.evaluate.answers.max_tokens)
            return Memory(held.weights + _weights(EMBEDDED_SHAPE), cache=held.cache)
        if stage == "rl":
            return self._rl()
        rows = 2 if stage == "preference" else 1
        train = recipe.sft.train if stage == "sft" else recipe.preference.train
        return self._training(train, train.batch_size * rows, train.max_length)

    def _critics(self) -> int:
        critic = self.recipe.critique.critic
        return 1 if critic == "few-shot" or is_remote(critic) else 2

    def _local_judges(self, judge: str) -> float:
        """Models of a judge that sit here, in units of the policy's size."""
        config = self.recipe.all_judges().get(judge)
        kind = config.kind if config else judge
        model = (config.model if config else "") or self.recipe.feedback.model
        if kind == "human" or is_remote(model):
            return 0.0
        if kind == "readout":
            return EMBEDDED_SHAPE.parameters / self.shape.parameters
        return 1.0

    def _sampling(self, models: float, tokens: int) -> Memory:
        length = self.planner.counts.prompt_tokens + tokens
        rows = min(BATCH_ROWS, max(1, BATCH_ROWS * _TYPICAL_TOKENS // max(1, length)))
        cache = rows * length * kv_bytes_a_token(self.shape) / GB if models else 0.0
        return Memory(models * _weights(self.shape), cache=cache)

    def _training(self, train: Tuning, rows: int, length: int, frozen: float = 0.0) -> Memory:
        """A step on `rows` rows at once; `frozen` models of the same size are held beside it."""
        tuned, shape = self._tuned(train), self.shape
        tokens = rows * min(self.planner.row_tokens, length)
        wide = 1 if self.machine.gpu else 2
        layers = min(train.lora_last_layers or shape.layers, shape.layers)
        kept = tokens * layers * shape.width * _ACTIVATION_16 * wide
        logits = 2 * min(tokens, _LOGIT_CHUNK) * shape.vocabulary * 4
        copies = shape.parameters * 2 if self.machine.gpu else 0
        return Memory(
            (1 + frozen) * _weights(shape) + (copies + (tuned if train.lora_rank else 0)) / GB,
            _ADAM_AND_GRADIENT * tuned / GB,
            (kept + logits) / GB,
        )

    def _tuned(self, train: Tuning) -> float:
        """Weights that move."""
        if not train.lora_rank:
            return self.shape.parameters
        return self.shape.adapter(train.lora_rank, train.lora_last_layers)

    def _rl(self) -> Memory:
        rl = self.recipe.rl
        if not rl.on_policy:
            return self._training(rl.train, 2 * rl.train.batch_size, rl.train.max_length)
        scorer = 1.0 if rl.reward == PREFERENCE else self._local_judges(rl.reward)
        scorer += self._local_judges(rl.monitor.held_out) if rl.monitor.held_out else 0.0
        if rl.method == BEST_OF_N:
            limit = rl.best_of_n.max_new_tokens
            step = self._training(rl.train, rl.train.batch_size, rl.train.max_length, scorer)
        elif rl.method in ("ppo", "reinforce"):
            limit = rl.ppo.max_new_tokens
            reference = 0.0 if rl.ppo.lora_rank else 1.0
            rows = rl.ppo.minibatch if rl.method == "ppo" else rl.ppo.prompts_per_step
            step = self._training(rl.ppo, rows, rl.ppo.max_length, scorer + reference)
        else:
            limit = rl.online.max_new_tokens
            reference = 0.0 if rl.online.lora_rank or not rl.online.beta else 1.0
            rows = rl.online.prompts_per_step * rl.online.group // rl.online.accumulation
            step = self._training(rl.online, rows, 1 << 20, scorer + reference)
        cache = self._sampling(1, limit).cache
        return Memory(step.weights, step.optimizer, step.activations, cache)


def _weights(shape: ModelShape) -> float:
    return WEIGHT_BYTES * shape.parameters / GB
