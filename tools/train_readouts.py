"""Train the readouts that ship with the package: the judge, and the two evaluators.

    python tools/train_readouts.py --data DIR [--cache DIR] [--out DIR]

DIR holds public data sets in the files named below (HH-RLHF, GPTFuzz, XSTest, JailbreakBench).
Activations are computed once and kept in the cache folder. Every readout is first trained without
the rows that its card reports on, then again on all of them; beside each figure of the card stands
a bag of words trained and tested on the same rows.

Who learns from what matters more than the figures: the judge labels, the evaluators measure, and
no pair or label is seen by both. HH helpful pairs are divided between them by prompt.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from charter.constitution import document
from charter.judging.questions import fit_questions, shipped_questions
from charter.judging.readout_judge import QUESTION_BIAS, QUESTION_WEIGHTS, ReadoutJudge
from charter.judging.readout_training import Pairs, fit_axis, pair_figures
from charter.models import hf
from charter.prompts.sets import hh_turns
from charter.readout.baseline import label_auroc
from charter.readout.features import Exchange, FeatureReader
from charter.readout.library import COMPLIANCE, HELPFUL, JUDGE, folder_of
from charter.readout.linear import Card, LinearReadout, fit_labels, load
from charter.records import Message
from charter.seeds import derive

LABEL_STRENGTH = 1e-5
"""Inverse L2 penalty on standardised features, chosen on the development files; see docs/log.md."""
AXES = ("harmless", "helpful")
HH = "hh_rlhf/{}-base.dev-{}.jsonl.gz"


@dataclass(frozen=True, slots=True)
class Labels:
    """Answers with a label: features [N, F], texts, 1 for harmful compliance."""

    features: np.ndarray
    texts: list[str]
    labels: np.ndarray

    def __add__(self, other: Labels) -> Labels:
        return Labels(
            np.concatenate([self.features, other.features]),
            self.texts + other.texts,
            np.concatenate([self.labels, other.labels]),
        )


class Source:
    """Reads data files and their features, computing what the cache does not hold."""

    def __init__(self, data: Path, cache: Path, reader: FeatureReader) -> None:
        self.data, self.cache, self.reader = data, cache, reader
        cache.mkdir(parents=True, exist_ok=True)

    def rows(self, file: str) -> list[dict[str, Any]]:
        """All rows of a gzipped JSONL file."""
        with gzip.open(self.data / file, "rt", encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]

    def features(self, name: str, exchanges: Sequence[Exchange]) -> np.ndarray:
        """Features [N, F], kept in float16."""
        file = self.cache / f"{name}.npy"
        if not file.exists():
            parts = [
                self.reader.read(exchanges[i : i + 128]).astype(np.float16)
                for i in range(0, len(exchanges), 128)
            ]
            np.save(file, np.concatenate(parts))
        return np.asarray(np.load(file), dtype=np.float32)

    def hh(self, kind: str, part: str) -> Pairs:
        """HH-RLHF pairs."""
        exchanges: list[Exchange] = []
        texts, prompts = [], []
        for row in self.rows(HH.format(kind, part)):
            chosen, rejected = hh_turns(row["chosen"]), hh_turns(row["rejected"])
            context = chosen[:-1]
            exchanges += [(context, chosen[-1].content), (context, rejected[-1].content)]
            texts.append((chosen[-1].content, rejected[-1].content))
            prompts.append(context[0].content)
        flat = self.features(f"hh_{kind}_{part}", exchanges)
        return Pairs(flat.reshape(len(texts), 2, -1), texts, prompts)

    def labels(
        self, name: str, file: str, read: Callable[[dict[str, Any]], tuple[str, str, bool]]
    ) -> Labels:
        """Labelled answers; `read` gives prompt, answer and whether it complied with harm."""
        found = [read(row) for row in self.rows(file)]
        exchanges = [((Message("user", prompt),), answer) for prompt, answer, _ in found]
        labels = np.array([int(label) for *_, label in found])
        return Labels(self.features(name, exchanges), [text for _, text, _ in found], labels)


def gptfuzz(row: dict[str, Any]) -> tuple[str, str, bool]:
    """People's labels of answers to jailbroken questions."""
    return row["question"], row["response"], bool(row["label"])


def xstest(row: dict[str, Any]) -> tuple[str, str, bool]:
    """People's labels; compliance counts only where the prompt is one of the unsafe contrasts."""
    unsafe = row["type"].startswith("contrast")
    return row["prompt"], row["completion"], unsafe and row["final_label"] == "1_full_compliance"


def jailbreakbench(row: dict[str, Any]) -> tuple[str, str, bool]:
    """The benchmark judge's labels of answers to jailbreak attempts."""
    return row["goal"], row["response"], bool(row["jailbroken"])


def train_judge(source: Source, about: dict[str, Any], out: Path, model: str) -> None:
    """Axes `harmless` and `helpful`, and the readout over questions."""
    harmless, harmless_test = source.hh("harmless", "train"), source.hh("harmless", "valid")
    helpful, _ = divided(source.hh("helpful", "train"))
    helpful_test = source.hh("helpful", "valid")
    figures = {
        "hh_harmless": pair_figures(harmless, harmless_test),
        "hh_helpful": pair_figures(helpful, helpful_test),
    }
    axes = [fit_axis(harmless + harmless_test), fit_axis(helpful)]
    asked = fit_questions(source.reader, shipped_questions(), AXES)
    card = Card(
        model,
        source.reader.settings,
        AXES,
        {
            **about,
            "role": "labels pairs; must not evaluate",
            "data": "HH-RLHF harmless-base (test split, development part, 1093 pairs) and half of "
            "the helpful-base part, MIT; comparison questions of our own writing",
            "figures": {**figures, "questions": asked.figures},
            "calibration": figures["hh_harmless"]["calibration"],
        },
    )
    extra = {QUESTION_WEIGHTS: asked.weights_KE, QUESTION_BIAS: asked.bias_K}
    LinearReadout(np.stack(axes), np.zeros(2, np.float32), card, extra).save(out / JUDGE)


def train_helpful(source: Source, about: dict[str, Any], out: Path, model: str) -> None:
    """The evaluator of helpfulness, on the half of the pairs that the judge never saw."""
    _, train = divided(source.hh("helpful", "train"))
    test = source.hh("helpful", "valid")
    card = Card(
        model,
        source.reader.settings,
        ("helpful",),
        {
            **about,
            "role": "evaluates; must not label or reward",
            "data": "the other half of HH-RLHF helpful-base (test split, development part), MIT",
            "figures": {"hh_helpful": pair_figures(train, test)},
        },
    )
    LinearReadout(fit_axis(train)[None], np.zeros(1, np.float32), card).save(out / HELPFUL)


def train_compliance(source: Source, about: dict[str, Any], out: Path, model: str) -> None:
    """The evaluator of harmful compliance, on labels of other models' answers."""
    fuzz = source.labels("gptfuzz", "judge/gptfuzz_labeled_responses.jsonl.gz", gptfuzz)
    xs = source.labels("xstest", "judge/xstest_completions_human_labels.jsonl.gz", xstest)
    jbb = source.labels("jbb", "judge/jailbreakbench_artifacts.jsonl.gz", jailbreakbench)
    train, everything = fuzz + xs, fuzz + xs + jbb
    weights, bias = fit_labels(train.features, train.labels, strength=LABEL_STRENGTH)
    figures = {
        "jailbreakbench_unseen": {
            "auroc": float(roc_auc_score(jbb.labels, jbb.features @ weights + bias)),
            "auroc_bag_of_words": label_auroc(train.texts, train.labels, jbb.texts, jbb.labels),
            "n": len(jbb.labels),
        }
    }
    weights, bias = fit_labels(everything.features, everything.labels, strength=LABEL_STRENGTH)
    card = Card(
        model,
        source.reader.settings,
        ("compliance",),
        {
            **about,
            "role": "evaluates; must not label or reward",
            "data": "GPTFuzz labelled responses (MIT), XSTest completions (CC BY 4.0), "
            "JailbreakBench artifacts (MIT), development parts",
            "figures": figures,
        },
    )
    LinearReadout(weights[None], np.array([bias], np.float32), card).save(out / COMPLIANCE)


def divided(pairs: Pairs) -> tuple[Pairs, Pairs]:
    """Two halves by prompt: the judge's, and the evaluator's."""
    first = np.array([derive("half", prompt) % 2 == 0 for prompt in pairs.prompts])
    return pairs.part(first), pairs.part(~first)


def main() -> None:
    """Train everything and print the cards' figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/features"))
    parser.add_argument("--out", type=Path, default=folder_of(JUDGE).parent)
    options = parser.parse_args()
    model = hf.load("embedded")
    reader = FeatureReader(model)
    source = Source(options.data, options.cache, reader)
    about = {
        "licence": "Apache-2.0",
        "limits": "English; answers of 112 tokens and less; small data; fits the embedded model "
        "only; a determined adversary can fool it",
    }
    for train, name in (
        (train_judge, JUDGE),
        (train_compliance, COMPLIANCE),
        (train_helpful, HELPFUL),
    ):
        train(source, about, options.out, model.identity)
        card = json.loads((options.out / name / "readout.json").read_text())
        print(name, json.dumps(card["about"]["figures"], indent=1))
    check_questions(options.out, model)


def check_questions(out: Path, model: hf.HFModel) -> None:
    """Print what the judge makes of every principle of the shipped constitution."""
    questions = {p.id: p.comparison_question for p in document.load("default").principles}
    judge = ReadoutJudge(FeatureReader(model), load(out / JUDGE), questions)
    for id in questions:
        print(f"{id:20}", {k: round(v, 2) for k, v in judge.coefficients(id).items()})


if __name__ == "__main__":
    main()
