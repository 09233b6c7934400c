"""The samples of one round of PPO: drawn, rewarded, written down.

Owns which prompts come when, the seed of each sample, and the overlap of sampling with rewarding.
Knows no loss.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from charter.models.generation import TokenRequest, sample
from charter.models.hf import HFModel
from charter.records import Prompt, Sampling
from charter.seeds import derive
from charter.training.examples import TokenRow, end_of_turn
from charter.training.recorder import Recorder
from charter.training.rewards import Paid, pay
from charter.training.rl_settings import PPOSettings
from charter.training.sampler import lap_order

_SEED = "ppo"


@dataclass(frozen=True, slots=True)
class _Slot:
    """One answer to be sampled: its prompt, and the seed of its randomness."""

    prompt: Prompt
    seed: int


class RoundSampler:
    """Samples answers and has them rewarded, part by part."""

    def __init__(
        self,
        model: HFModel,
        prompts: Sequence[Prompt],
        recorder: Recorder,
        settings: PPOSettings,
    ) -> None:
        self.model, self.prompts, self.recorder, self.settings = model, prompts, recorder, settings
        self.end, self.tokens = end_of_turn(model), 0
        self.sampling = Sampling(settings.max_new_tokens, settings.temperature)

    def round(self, step: int) -> tuple[list[TokenRow], list[float | None]]:
        """Token rows of one round's samples, and their rewards."""
        slots = list(self._slots(step))
        size = math.ceil(len(slots) / self.settings.overlap)
        rows: list[TokenRow] = []
        answers: list[str] = []
        waiting: list[Future[list[Paid]]] = []
        with ThreadPoolExecutor(1) as pool:
            for first in range(0, len(slots), size):
                part = slots[first : first + size]
                made = self._sample(part)
                texts = [self._text(row) for row in made]
                conversations = [slot.prompt.messages for slot in part]
                waiting.append(pool.submit(pay, self.recorder.reward, conversations, texts))
                rows, answers = rows + made, answers + texts
        paid: list[Paid] = [one for future in waiting for one in future.result()]
        talks = [slot.prompt.messages for slot in slots]
        self.recorder.book(step, [slot.prompt.id for slot in slots], talks, answers, paid)
        self.tokens += sum(len(row) for row in rows)
        return rows, [one.total for one in paid]

    def _slots(self, step: int) -> Iterator[_Slot]:
        count, seed = self.settings.prompts_per_step, self.settings.seed
        places = range((step - 1) * count, step * count)
        for index in lap_order(len(self.prompts), places, seed, _SEED, "order"):
            prompt = self.prompts[index]
            for number in range(self.settings.group):
                yield _Slot(prompt, derive(seed, _SEED, step, prompt.id, number))

    def _sample(self, slots: Sequence[_Slot]) -> list[TokenRow]:
        room = self.settings.max_length - self.settings.max_new_tokens
        prompts = [_cut(self.model.render(slot.prompt.messages), room) for slot in slots]
        requests = [
            TokenRequest(ids, self.sampling, slot.seed)
            for ids, slot in zip(prompts, slots, strict=True)
        ]
        self.model.net.eval()
        made = sample(self.model.net, requests, end_ids=[self.end])
        return [
            TokenRow(tuple(ids), (*one.ids, *([self.end] if one.ended else [])))
            for ids, one in zip(prompts, made, strict=True)
        ]

    def _text(self, row: TokenRow) -> str:
        return str(self.model.tokenizer.decode(list(row.answer), skip_special_tokens=True)).strip()


def _cut(prompt: list[int], room: int) -> list[int]:
    """A prompt that fits, without its start; its very first token stays (see `Tokeniser.row`)."""
    room = max(room, 1)
    return prompt if len(prompt) <= room else [prompt[0], *prompt[len(prompt) - room + 1 :]]
