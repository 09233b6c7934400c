"""The loop of the miscalibration study with real fine-tuning in place of weights on a pool.

In each round the policy answers, the critic (with and without the planted bias) chooses the best of
a few answers to every prompt, and the policy is fine-tuned on what was chosen. Owns that order and
the difference between the two arms; how models are opened and trained comes in.

Shape suffixes: P prompts, N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charter.engine.local import Progress, silent
from charter.records import Checkpoint, Model, Prompt, Scorer
from charter.seeds import derive
from charter.statistics.paired import paired_difference
from charter.studies.miscalibration import STUDY, Settings, TrainedRound
from charter.studies.pool import draw, read
from charter.studies.traits import Bias, BiasPrompt, bias_prompts
from charter.training.examples import ChatExample
from charter.training.run import train_sft
from charter.training.settings import TrainSettings

Texts = tuple[tuple[str, ...], ...]
Open = Callable[[Checkpoint], Model]


@dataclass(frozen=True, slots=True)
class Loop:
    """What the rounds work with.

    Attributes:
        start: the policy to begin with.
        open: loads a checkpoint.
        base: the critic before a bias is planted.
        train: settings of the imitation.
        folder: where checkpoints go.
        progress: told how far sampling and training are.
    """

    start: Checkpoint
    open: Open
    base: Scorer
    train: TrainSettings
    folder: Path
    progress: Progress = silent

    def run(self, settings: Settings) -> list[TrainedRound]:
        """Train the first bias of the settings at the largest dose, beside a control arm."""
        bias, dose = settings.biases[0], max(settings.doses)
        asked = bias_prompts(bias, settings.prompts)
        # Both arms begin with the same answers of the same policy.
        first = self._answers(self.start, asked, settings, 0, f"{bias} start")
        arms = {d: self._arm(bias, d, asked, first, settings) for d in (0.0, dose)}
        spread = float(np.std(arms[0.0][0])) or 1.0
        found = []
        for number in range(1, settings.train_rounds + 1):
            with_bias, without = (arms[d][number].mean(1) / spread for d in (dose, 0.0))
            seed = derive(settings.seed, STUDY, "trained", number)
            gap = paired_difference(with_bias, without, seed=seed, draws=500)
            found.append(TrainedRound(bias, dose, number, gap))
        return found

    def _arm(
        self,
        bias: Bias,
        dose: float,
        asked: Sequence[BiasPrompt],
        first: Texts,
        settings: Settings,
    ) -> list[np.ndarray]:
        """Traits [P, N] of the policy's answers before the first round and after each."""
        prompts, checkpoint, texts = [one.as_prompt() for one in asked], self.start, first
        traits = [_traits(asked, texts)]
        for number in range(settings.train_rounds):
            name = f"{bias} dose {dose:g} round {number + 1}"
            chosen = self._chosen(prompts, texts, traits[-1], dose)
            checkpoint = self._trained(checkpoint, chosen, f"{dose:g}-{number + 1}", name)
            texts = self._answers(checkpoint, asked, settings, number + 1, name)
            traits.append(_traits(asked, texts))
        return traits

    def _answers(
        self,
        checkpoint: Checkpoint,
        asked: Sequence[BiasPrompt],
        settings: Settings,
        number: int,
        name: str,
    ) -> Texts:
        return draw(
            self.open(checkpoint),
            [one.as_prompt() for one in asked],
            settings.train_samples,
            settings.sampling,
            seed=derive(settings.seed, "trained", number),
            name=name,
            progress=self.progress,
        )

    def _chosen(
        self,
        prompts: Sequence[Prompt],
        texts: Texts,
        trait_PN: np.ndarray,
        dose: float,
    ) -> list[ChatExample]:
        """The answer to each prompt that the critic likes best; none where it can read none."""
        flat = [(p, t) for p, row in zip(prompts, texts, strict=True) for t in row]
        base_PN = read(self.base, flat).reshape(trait_PN.shape)
        spread = float(np.nanstd(base_PN)) or 1.0
        score_PN = base_PN / spread + dose * trait_PN / (float(trait_PN.std()) or 1.0)
        found = []
        for prompt, row, score_N in zip(prompts, texts, score_PN, strict=True):
            score_N = np.where([bool(t.strip()) for t in row], score_N, np.nan)
            if np.isfinite(score_N).any():
                found.append(ChatExample(prompt.messages, row[int(np.nanargmax(score_N))]))
        return found

    def _trained(
        self, start: Checkpoint, chosen: list[ChatExample], place: str, name: str
    ) -> Checkpoint:
        return train_sft(
            start,
            chosen,
            self.train,
            self.folder / f"trained-{place}",
            lambda done, total, _: self.progress(f"{name} training", done, total),
        ).checkpoint


def _traits(asked: Sequence[BiasPrompt], texts: Texts) -> np.ndarray:
    return np.array([[one.trait(t) for t in row] for one, row in zip(asked, texts, strict=True)])
