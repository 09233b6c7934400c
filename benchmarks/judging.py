"""Judging with shared prefixes against one prompt for each principle and order, side by side.

    python benchmarks/judging.py [--json] [--pairs 2] [--principles 16] [--comparisons 100000]

Same model and matrix products, comparisons, questions and token ids; the plain way gets
length-sorted batches and the vocabulary head at its last positions only, so what differs is the
sharing. Both ways must give the same likelihoods. A round takes the shared way before and after
the plain one, and the machine's rate around both: on a machine that has other work, all see some
of it. The work is a conversation of six turns and two answers of three short
paragraphs, about 500 tokens; `--turns 0` is the shortest, where least is shared.

`matmul_fraction` is two floating-point operations a weight (embeddings left out) and token, over
the rate of the same kind of matrix product in the same process. `rss_growth_mb` is what labelling
takes more after 100k comparisons than after 1k; they are a few texts many times over, since their
number is the question, and the labels are written to disk as a run writes them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from machine import frozen_rate, matmul_rate, rss_mb, seconds, weights

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


@dataclass(frozen=True)
class Work:
    """Comparisons in both orders, and the questions asked about each."""

    pairs: int
    both: list[Comparison]
    questions: dict[str, str]

    @classmethod
    def of(cls, options: argparse.Namespace) -> Work:
        principles = document.load("default").principles[: options.principles]
        pairs = list(islice(comparisons(options.turns), options.pairs))
        both = [*pairs, *(c.swap() for c in pairs)]
        return cls(len(pairs), both, {p.id: p.comparison_question for p in principles})

    @property
    def asked(self) -> list[list[str]]:
        return [list(self.questions)] * len(self.both)


@dataclass(frozen=True)
class Round:
    """Seconds of either way, and floating-point operations a second of the machine."""

    shared_s: float
    plain_s: float
    rate: float


def measure(options: argparse.Namespace) -> dict[str, float]:
    """All figures, in one process."""
    tell("loading the embedded model")
    model, work = hf.load("embedded"), Work.of(options)
    found = {**both_ways(model, work, options.repeats), **read(model, work)}
    tell(", ".join(f"{name} {value:.4g}" for name, value in found.items()))
    tell(f"labelling {options.comparisons} comparisons for the growth of memory")
    growth = rss_growth(model, options.comparisons)
    first = ("speedup", "matmul_fraction", "pairs_per_second")
    return {**{name: found[name] for name in first}, "rss_growth_mb": growth, **found}


def both_ways(model: hf.HFModel, work: Work, repeats: int) -> dict[str, float]:
    """Shared prefixes against one prompt a question."""
    recorder, judge = Recorder(model), MultipleChoiceJudge(model, work.questions)
    MultipleChoiceJudge(recorder, work.questions).vote(work.both, work.asked)
    letters = [model.encode(option)[0] for option in ("A", "B")]
    plain, by_prompt = PlainModel(model), list[list[float]]()

    def plain_way() -> None:
        plain.tokens = 0
        by_prompt[:] = plain.logprobs(recorder.prompts, letters)

    plain.logprobs(recorder.prompts[:4], letters)
    rounds = measured(lambda: judge.vote(work.both, work.asked), plain_way, repeats)
    flops = 2 * weights(model.backbone())
    return {
        "speedup": statistics.median(r.plain_s / r.shared_s for r in rounds),
        "matmul_fraction": statistics.median(
            flops * recorder.tokens / r.shared_s / r.rate for r in rounds
        ),
        "matmul_fraction_plain": statistics.median(
            flops * plain.tokens / r.plain_s / r.rate for r in rounds
        ),
        "pairs_per_second": statistics.median(work.pairs / r.shared_s for r in rounds),
        "principles": len(work.questions),
        "prompt_tokens": statistics.mean(map(len, recorder.prompts)),
        "tokens_a_comparison": recorder.tokens / work.pairs,
        "tokens_a_comparison_plain": plain.tokens / work.pairs,
        "largest_difference": _largest(recorder.answers, by_prompt),
        "matmul_gflops": statistics.median(r.rate for r in rounds) / 1e9,
        "matmul_gflops_torch": matmul_rate() / 1e9,
        "threads": torch.get_num_threads(),
    }


def measured(
    shared: Callable[[], object], plain: Callable[[], object], repeats: int
) -> list[Round]:
    """Rounds of both ways, the machine's rate before and after each."""
    rounds = []
    for number in range(repeats):
        tell(f"round {number + 1} of {repeats}, both ways")
        rates, taken = [frozen_rate()], []
        for way in (shared, plain, shared):
            taken.append(seconds(way, 1))
            rates.append(frozen_rate())
        before, plain_s, after = taken
        rounds.append(Round((before + after) / 2, plain_s, statistics.mean(rates)))
    return rounds


def read(model: hf.HFModel, work: Work) -> dict[str, float]:
    """The readout judge on the same comparisons."""
    tell("the readout judge")
    readout = shipped(JUDGE, model)
    judge = ReadoutJudge(FeatureReader(model, readout.card.features), readout, work.questions)
    taken = seconds(lambda: judge.vote(work.both, work.asked), 1)
    return {"pairs_per_second_readout": work.pairs / taken}


def tell(doing: str) -> None:
    """Say on stderr what takes its time."""
    print(f"judging: {doing}", file=sys.stderr, flush=True)


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
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--principles", type=int, default=16)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=1)
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
