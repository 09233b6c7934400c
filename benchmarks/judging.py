"""Judging with shared prefixes against one prompt for each principle and order, side by side.

    python benchmarks/judging.py [--json] [--pairs 6] [--principles 16] [--comparisons 100000]

Same model, comparisons, questions and token ids; the plain way gets length-sorted batches and the
vocabulary head at its last positions only, so what differs is the sharing. Both ways must give the
same likelihoods. The work is a conversation of six turns and two answers of three short
paragraphs, about 500 tokens; `--turns 0` is the shortest, where least is shared.

`matmul_fraction` is two floating-point operations a weight (embeddings left out) and token, over
the machine's matrix-product rate in the same process. `rss_growth_mb` is what labelling takes
more after 100k comparisons than after 1k; they are a few texts many times over, since their
number is the question, and the labels are written to disk as a run writes them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch
from machine import matmul_rate, rss_mb, seconds

from charter import feedback
from charter.constitution import document
from charter.judging.multiple_choice import MultipleChoiceJudge
from charter.judging.readout_judge import ReadoutJudge
from charter.models import hf
from charter.models.scoring import batches
from charter.prompts.chains import worked_chains
from charter.readout.features import FeatureReader
from charter.readout.library import JUDGE, shipped
from charter.records import Comparison, Message, Origin, Prompt
from charter.store import RunFolder


def comparisons(turns: int) -> Iterator[Comparison]:
    """Comparisons without end, built from the worked chains."""
    chains, number = [c for c in worked_chains() if c.kind == "harmful"], 0
    while True:
        use = [chains[(7 * number + i) % len(chains)] for i in range(turns // 2 + 3)]
        talk = [m for c in use[3:] for m in _exchange(c.prompt, c.revision)]
        prompt = Prompt(f"p{number}", (*talk, Message("user", use[0].prompt)), "redteam")
        a = "\n\n".join(c.revision for c in use[:3])
        b = "\n\n".join(c.draft for c in use[:3])
        yield Comparison(f"c{number}", prompt, a, b, Origin("benchmark", "library"))
        number += 1


def _exchange(user: str, assistant: str) -> tuple[Message, Message]:
    return Message("user", user), Message("assistant", assistant)


class PlainModel:
    """The same likelihoods by one prompt a question, in length-sorted batches."""

    def __init__(self, model: hf.HFModel) -> None:
        self.model, self.tokens = model, 0

    def logprobs(self, rows: Sequence[list[int]], options: Sequence[int]) -> list[list[float]]:
        """Log-probabilities of the options after each row."""
        found: dict[int, list[float]] = {}
        for group in batches([len(row) for row in rows], max_tokens=self.model.batch_tokens):
            width = max(len(rows[i]) for i in group)
            ids = torch.zeros(len(group), width, dtype=torch.long)
            mask = torch.zeros(len(group), width, dtype=torch.long)
            for place, i in enumerate(group):
                ids[place, : len(rows[i])] = torch.tensor(rows[i])
                mask[place, : len(rows[i])] = 1
            self.tokens += ids.numel()
            found |= dict(zip(group, self._last(ids, mask, options), strict=True))
        return [found[i] for i in range(len(rows))]

    @torch.inference_mode()
    def _last(
        self, ids: torch.Tensor, mask: torch.Tensor, options: Sequence[int]
    ) -> list[list[float]]:
        hidden = self.model.backbone()(
            input_ids=ids, attention_mask=mask, use_cache=False
        ).last_hidden_state[torch.arange(len(ids)), mask.sum(1) - 1]
        logits = self.model.net.get_output_embeddings()(hidden).float().log_softmax(-1)
        rows: list[list[float]] = logits[:, list(options)].tolist()
        return rows


class Recorder:
    """A `ChoiceModel` that notes the prompts it is asked, and what the shared way answers."""

    def __init__(self, model: hf.HFModel) -> None:
        self.model, self.tokens = model, 0
        self.prompts: list[list[int]] = []
        self.answers: list[list[float]] = []

    @property
    def identity(self) -> str:
        return self.model.identity

    def choice_logprobs(
        self, prefix: Sequence[Message], suffixes: Sequence[str], options: Sequence[str]
    ) -> list[list[float]]:
        stem, rows = self._ids(prefix, suffixes)
        self.prompts += rows
        self.tokens += stem + sum(len(row) - stem for row in rows)
        found = self.model.choice_logprobs(prefix, suffixes, options)
        self.answers += found
        return found

    def _ids(
        self, prefix: Sequence[Message], suffixes: Sequence[str]
    ) -> tuple[int, list[list[int]]]:
        *opening, closing = self.model.chat.pieces(prefix)
        stem, close = self.model.chat.ids(opening), self.model.chat.ids([closing])
        return len(stem), [[*stem, *self.model.encode(text), *close] for text in suffixes]


def measure(options: argparse.Namespace) -> dict[str, float]:
    """All figures, in one process."""
    model = hf.load("embedded")
    principles = document.load("default").principles[: options.principles]
    questions = {p.id: p.comparison_question for p in principles}
    work = list(islice(comparisons(options.turns), options.pairs))
    both = [*work, *(c.swap() for c in work)]
    asked = [list(questions)] * len(both)

    recorder = Recorder(model)
    MultipleChoiceJudge(recorder, questions).vote(both, asked)
    letters = [model.encode(option)[0] for option in ("A", "B")]
    plain = PlainModel(model)
    by_prompt = plain.logprobs(recorder.prompts, letters)
    plain_tokens = plain.tokens

    judge = MultipleChoiceJudge(model, questions)
    rate = matmul_rate()
    shared_s = seconds(lambda: judge.vote(both, asked), options.repeats)
    plain_s = seconds(lambda: plain.logprobs(recorder.prompts, letters), 1)
    body = sum(p.numel() for p in model.backbone().parameters())
    body -= model.net.get_input_embeddings().weight.numel()
    readout = shipped(JUDGE, model)

    def read() -> object:
        reader = FeatureReader(model, readout.card.features)
        return ReadoutJudge(reader, readout, questions).vote(both, asked)

    return {
        "speedup": plain_s / shared_s,
        "matmul_fraction": 2 * body * recorder.tokens / shared_s / rate,
        "matmul_fraction_plain": 2 * body * plain_tokens / plain_s / rate,
        "pairs_per_second": len(work) / shared_s,
        "pairs_per_second_readout": len(work) / seconds(read, options.repeats),
        "rss_growth_mb": rss_growth(model, options.comparisons),
        "principles": len(questions),
        "prompt_tokens": sum(map(len, recorder.prompts)) / len(recorder.prompts),
        "tokens_a_comparison": recorder.tokens / len(work),
        "tokens_a_comparison_plain": plain_tokens / len(work),
        "largest_difference": _largest(recorder.answers, by_prompt),
        "matmul_gflops": rate / 1e9,
    }


def _largest(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float:
    pairs = zip(first, second, strict=True)
    return max(abs(a - b) for xs, ys in pairs for a, b in zip(xs, ys, strict=True))


def rss_growth(model: hf.HFModel, count: int) -> float:
    """Memory after labelling `count` comparisons minus that after a thousand, in MB."""
    readout, constitution = shipped(JUDGE, model), document.load("default")
    questions = {p.id: p.comparison_question for p in constitution.principles}
    judge = ReadoutJudge(FeatureReader(model, readout.card.features), readout, questions)
    texts = list(islice(comparisons(0), 32))
    sizes: dict[int, float] = {}

    def repeated() -> Iterator[Comparison]:
        for number in range(count):
            text = texts[number % len(texts)]
            if number in (1000, count - 1):
                sizes[number] = rss_mb()
            yield Comparison(f"c{number}", text.prompt, text.a, text.b, text.origin)

    with tempfile.TemporaryDirectory() as folder:
        stage = RunFolder(Path(folder)).stage(feedback.STAGE, ["benchmark"])
        config = feedback.FeedbackConfig(judge="readout", principles="weighted")
        deps = feedback.FeedbackDeps(judge, stage)
        feedback.run(repeated(), constitution, config, deps=deps, total=count)
    return sizes[count - 1] - sizes[1000]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--principles", type=int, default=16)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--comparisons", type=int, default=100_000)
    options = parser.parse_args()
    with hf.quiet_loading():
        found = measure(options)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:32} {value:10.3f}")


if __name__ == "__main__":
    main()
