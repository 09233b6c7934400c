"""Train the readouts that ship with the package: the judge, and the two evaluators.

    python tools/train_readouts.py --data DIR [--cache DIR] [--out DIR] [--only NAME]

DIR holds public data sets in the files named below (HH-RLHF, GPTFuzz, XSTest, JailbreakBench).
Activations are computed once and kept in the cache folder; where it holds all of them, the model is
not even loaded. Every readout is first trained without the rows that its card reports on, then
again on all of them; beside each figure of the card stands a bag of words trained and tested on
the same rows.

Who learns from what matters more than the figures: the judge labels, the evaluators measure, and
no pair or label is seen by both. HH helpful pairs are divided between them by prompt.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from charter.constitution import document
from charter.evaluate.error_rates import NOTE
from charter.evaluate.examination import figures
from charter.evaluate.measure import HARM, REFUSED_YET_COMPLIED
from charter.evaluate.refusal import refusal
from charter.judging.questions import fit_questions, shipped_questions
from charter.judging.readout_judge import QUESTION_BIAS, QUESTION_WEIGHTS, ReadoutJudge
from charter.judging.readout_training import Pairs, fit_axis, pair_figures
from charter.models import embedded, hf
from charter.prompts.chains import worked_chains
from charter.prompts.sets import hh_turns
from charter.readout.baseline import crossed_labels, label_logits
from charter.readout.blend import MoreTexts, Rows, fit_blend, left_out
from charter.readout.features import Exchange, FeatureReader, FeatureSettings
from charter.readout.library import COMPLIANCE, HELPFUL, JUDGE, folder_of
from charter.readout.linear import Card, LinearReadout, load
from charter.records import Message
from charter.seeds import derive
from charter.statistics.correction import error_rates

AXES = ("harmless", "helpful")
HH = "hh_rlhf/{}-base.dev-{}.jsonl.gz"


class Source:
    """Reads data files and their features, computing what the cache does not hold."""

    settings = FeatureSettings()

    def __init__(self, data: Path, cache: Path) -> None:
        self.data, self.cache = data, cache
        cache.mkdir(parents=True, exist_ok=True)

    @cached_property
    def model(self) -> str:
        """Identity of the model whose features these are; it is not loaded for that."""
        return f"{embedded.NAME}@{hf.revision(embedded.folder())}"

    @cached_property
    def reader(self) -> FeatureReader:
        """Loads the model."""
        return FeatureReader(hf.load(embedded.NAME), self.settings)

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
    ) -> Rows:
        """Labelled answers; `read` gives prompt, answer and whether it went along."""
        found = [read(row) for row in self.rows(file)]
        exchanges = [((Message("user", prompt),), answer) for prompt, answer, _ in found]
        return Rows(
            self.features(name, exchanges),
            [text for _, text, _ in found],
            np.array([int(label) for *_, label in found]),
            [prompt for prompt, *_ in found],
            [name] * len(found),
        )


def gptfuzz(row: dict[str, Any]) -> tuple[str, str, bool]:
    """People's labels of answers to jailbroken questions."""
    return row["question"], row["response"], bool(row["label"])


def xstest(row: dict[str, Any]) -> tuple[str, str, bool]:
    """People's labels; a refusal in part does not go along. Safe prompts and unsafe contrasts."""
    return row["prompt"], row["completion"], row["final_label"] == "1_full_compliance"


def jailbreakbench(row: dict[str, Any]) -> tuple[str, str, bool]:
    """The benchmark judge's labels of answers to jailbreak attempts."""
    return row["goal"], row["response"], bool(row["jailbroken"])


def train_judge(source: Source, about: dict[str, Any], out: Path) -> None:
    """Axes `harmless` and `helpful`, and the readout over questions."""
    harmless, harmless_test = source.hh("harmless", "train"), source.hh("harmless", "valid")
    helpful, _ = divided(source.hh("helpful", "train"))
    helpful_test = source.hh("helpful", "valid")
    found = {
        "hh_harmless": pair_figures(harmless, harmless_test),
        "hh_helpful": pair_figures(helpful, helpful_test),
    }
    axes = [fit_axis(harmless + harmless_test), fit_axis(helpful)]
    asked = fit_questions(source.reader, shipped_questions(), AXES)
    card = Card(
        source.model,
        source.settings,
        AXES,
        {
            **about,
            "role": "labels pairs; must not evaluate",
            "data": "HH-RLHF harmless-base (test split, development part, 1093 pairs) and half of "
            "the helpful-base part, MIT; comparison questions of our own writing",
            "figures": {**found, "questions": asked.figures},
            "calibration": found["hh_harmless"]["calibration"],
        },
    )
    extra = {QUESTION_WEIGHTS: asked.weights_KE, QUESTION_BIAS: asked.bias_K}
    LinearReadout(np.stack(axes), np.zeros(2, np.float32), card, extra).save(out / JUDGE)


def train_helpful(source: Source, about: dict[str, Any], out: Path) -> None:
    """The evaluator of helpfulness, on the half of the pairs that the judge never saw."""
    _, train = divided(source.hh("helpful", "train"))
    test = source.hh("helpful", "valid")
    card = Card(
        source.model,
        source.settings,
        ("helpful",),
        {
            **about,
            "role": "evaluates; must not label or reward",
            "data": "the other half of HH-RLHF helpful-base (test split, development part), MIT",
            "figures": {"hh_helpful": pair_figures(train, test)},
        },
    )
    LinearReadout(fit_axis(train)[None], np.zeros(1, np.float32), card).save(out / HELPFUL)


FUZZ, XSTEST, JBB = "gptfuzz", "xstest", "jbb"
FILES = {
    FUZZ: ("judge/gptfuzz_labeled_responses.jsonl.gz", gptfuzz),
    XSTEST: ("judge/xstest_completions_human_labels.jsonl.gz", xstest),
    JBB: ("judge/jailbreakbench_artifacts.jsonl.gz", jailbreakbench),
}


def train_compliance(source: Source, about: dict[str, Any], out: Path) -> None:
    """The evaluator of compliance, on labels of other models' answers and revisions of our own."""
    fuzz, xs, jbb = (source.labels(name, *FILES[name]) for name in FILES)
    rows, more = fuzz + xs + jbb, own_revisions()
    blend, apart_N = fit_blend(rows, more), left_out(rows, more)
    words_N = crossed_labels(rows.texts, rows.labels_N, rows.groups)
    # What a bag of words makes of a source that it has not seen.
    words_apart_N = np.zeros(len(rows.texts))
    for name in FILES:
        inside = np.array(rows.sources) == name
        train = rows.part(~inside)
        words_apart_N[inside] = label_logits(train.texts, train.labels_N, rows.part(inside).texts)
    unsafe_N = harmful_prompts(source, rows)
    card = Card(
        source.model,
        source.settings,
        ("compliance",),
        {
            **about,
            "role": "evaluates; must not label or reward",
            "reads": "P(the answer goes along with the request); harmful where the request is",
            "data": "GPTFuzz labelled responses (MIT), XSTest completions (CC BY 4.0), "
            "JailbreakBench artifacts (MIT), development parts; the words also learned from 600 "
            "revisions of our own writing (refusals of what is harmful, answers to what is not)",
            "figures": {
                "by_question": by_source(rows, blend.crossed_N, words_N, unsafe_N),
                "source_left_out": by_source(rows, apart_N, words_apart_N, unsafe_N),
            },
            NOTE: {HARM: harm_errors(rows, apart_N, unsafe_N)},
        },
    )
    blend.readout(card).save(out / COMPLIANCE)


def own_revisions() -> MoreTexts:
    """Our revisions: those of harmful requests decline. The drafts carry no label of people's."""
    chains = worked_chains()
    return MoreTexts(
        [chain.revision for chain in chains], [int(chain.kind != "harmful") for chain in chains]
    )


def harmful_prompts(source: Source, rows: Rows) -> np.ndarray:
    """Mask [N] of the answers to plain harmful prompts: not XSTest's safe ones, and not GPTFuzz's
    jailbreaks, which ask for a refusal and an answer in one."""
    types = [row["type"].startswith("contrast") for row in source.rows(FILES[XSTEST][0])]
    mask_N: np.ndarray = np.array(rows.sources) == JBB
    mask_N[np.array(rows.sources) == XSTEST] = types
    return mask_N


def by_source(
    rows: Rows, logits_N: np.ndarray, words_N: np.ndarray, unsafe_N: np.ndarray
) -> dict[str, Any]:
    """Figures of each source beside those of a bag of words on the same rows."""
    sources_N = np.array(rows.sources)
    parts = {name: sources_N == name for name in FILES}
    parts[f"{XSTEST}_unsafe"] = parts[XSTEST] & unsafe_N
    found = {}
    for name, mask_N in parts.items():
        part, prompts = rows.part(mask_N), rows.part(mask_N).groups
        of = {"scorer": logits_N[mask_N], "bag_of_words": words_N[mask_N]}
        found[name] = {
            who: msgspec.to_builtins(figures(z_N, part.labels_N, prompts, threshold=0.0))
            for who, z_N in of.items()
        }
    return found


def harm_errors(rows: Rows, logits_N: np.ndarray, unsafe_N: np.ndarray) -> dict[str, Any]:
    """Error rates of the metric as it is measured: an answer that declines is not compliant."""
    part = rows.part(unsafe_N)
    declined_N = np.array([refusal(text) for text in part.texts])
    said_N = 1 / (1 + np.exp(-logits_N[unsafe_N])) * np.where(declined_N, REFUSED_YET_COMPLIED, 1)
    data = (
        "answers to XSTest's unsafe prompts (people's labels) and to JailbreakBench's (its judge's "
        "labels), each read by a scorer that saw nothing of that source; development parts"
    )
    return dict(msgspec.to_builtins(error_rates(said_N, part.labels_N, data=data)))


def divided(pairs: Pairs) -> tuple[Pairs, Pairs]:
    """Two halves by prompt: the judge's, and the evaluator's."""
    first = np.array([derive("half", prompt) % 2 == 0 for prompt in pairs.prompts])
    return pairs.part(first), pairs.part(~first)


TRAINERS = {JUDGE: train_judge, COMPLIANCE: train_compliance, HELPFUL: train_helpful}


def main() -> None:
    """Train everything and print the cards' figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/features"))
    parser.add_argument("--out", type=Path, default=folder_of(JUDGE).parent)
    parser.add_argument("--only", choices=TRAINERS, action="append", help="all if not given")
    options = parser.parse_args()
    source = Source(options.data, options.cache)
    about = {
        "licence": "Apache-2.0",
        "limits": "English; answers of 112 tokens and less; small data; fits the embedded model "
        "only; a determined adversary can fool it",
    }
    wanted = options.only or list(TRAINERS)
    for name in wanted:
        TRAINERS[name](source, about, options.out)
        card = json.loads((options.out / name / "readout.json").read_text())
        print(name, json.dumps(card["about"]["figures"], indent=1))
    if JUDGE in wanted:
        check_questions(options.out, source.reader)


def check_questions(out: Path, reader: FeatureReader) -> None:
    """Print what the judge makes of every principle of the shipped constitution."""
    questions = {p.id: p.comparison_question for p in document.load("default").principles}
    judge = ReadoutJudge(reader, load(out / JUDGE), questions)
    for id in questions:
        print(f"{id:20}", {k: round(v, 2) for k, v in judge.coefficients(id).items()})


if __name__ == "__main__":
    main()
