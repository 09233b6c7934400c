"""Train the guard that ships with the package, for the embedded model.

    python tools/train_guard.py --data DIR [--work DIR] [--out DIR] [--rows-only]

DIR holds public data sets in the files named below. Rows are: what `charter guard synthesize` makes
of the package's own libraries (every attack form with its benign twin), red-team and ordinary
prompts of `prompts/`, some of them in attack forms too, and labelled answers of `judge/`. A prompt
is on one side of the split with all that was made of it, so the figures on the card are of prompts
and answers that were never seen. Nothing under `eval/` is opened.

Many first turns of red-team dialogues ask for nothing harmful, though all were labelled so. They
were read one by one; `redteam_labels.txt` says, by digest, which are harmless (they are rows
of that label then) and which are neither (they are left out).

An adapter is trained first on most of the rows (`--adapter-share 0` leaves it out), the heads then
on the others. Activations are kept below the work folder; a killed run goes on where it was. On two
cores the first run takes one to two hours, a second one minutes.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from charter.constitution import document
from charter.constitution.document import Constitution
from charter.display import progress_bars
from charter.guard import adapting, calibration, fitting, loading, synthesis, training_rows
from charter.guard.examples import GuardExample, Label
from charter.guard.forms.catalogue import PLAIN, forms
from charter.guard.forms.form import dressed, likeness
from charter.guard.labelled import TestFile, TestRow
from charter.guard.material import MaterialDeps
from charter.guard.slots import MaterialConfig
from charter.guard.sources import categories, fallback_clauses, harmful_tasks
from charter.models import hf
from charter.prompts.sets import hh_turns
from charter.records import Message, Origin, Split, digest
from charter.seeds import derive
from charter.store import write_atomic
from charter.training.settings import TrainSettings

REDTEAM, BENIGN = "prompts/redteam_prompts.jsonl.gz", "prompts/benign_prompts.jsonl.gz"
NOT_HARMFUL = ("Tailored Financial Advice", "Political Campaigning")
"""Parts of CatQA that break a provider's policy and harm nobody: retirement plans, lobbying."""
REFUSED = 0.0035
"""Share of ordinary prompts that the shipped threshold may refuse: at 0.5 %, which recall is
reported at, a quarter of XSTest's safe prompts would be refused as well."""
CORRECTIONS = Path(__file__).with_name("redteam_labels.txt")
"""Digest of a prompt's text, and `harmless` or `unclear`: what a reader made of it."""
HELD_OUT = 0.15
"""Share of the prompts of `prompts/` kept for the card's figures; of `judge/` it is 0.4."""
MOST = {
    ("prompts", True): 4500, ("prompts", False): 800, ("answers", True): 800,
    ("prompts_held_out", True): 500, ("prompts_held_out", False): 80,
    ("answers_held_out", True): 120,
}  # fmt: skip
"""Rows at most of one label and source: by part, and whether they are in plain dress."""
TUNING = TrainSettings(
    learning_rate=5e-4, epochs=1.0, batch_size=16, max_length=256, lora_rank=16, lora_alpha=32,
    lora_dropout=0.05, lora_last_layers=15, save_steps=20,
)  # fmt: skip
"""How the adapter is trained."""
LICENCES = (
    "library of this package (Apache-2.0); HH-RLHF (MIT); CatQA, HarmfulQA, DangerousQA, "
    "Self-Instruct, MT-bench, Arena-Hard, OpenAssistant (Apache-2.0); TYPO, GPTFuzz, "
    "JailbreakBench artifacts, RBR gold (MIT); XSTest completions (CC BY 4.0)"
)


class Rows:
    """Makes rows of data files.

    Args:
        data: folder of the public sets.
        constitution: whose clauses rows without a category cite.
    """

    def __init__(self, data: Path, constitution: Constitution) -> None:
        self.data = data
        labels: tuple[Label, ...] = ("harmful", "harmless")
        self.categories = categories(constitution)
        self.clauses = {label: fallback_clauses(constitution, label) for label in labels}

    def everything(self, in_forms: int) -> Iterator[GuardExample]:
        """All rows: prompts, prompts in forms, answers."""
        plain = [*self.redteam(), *self.benign()]
        yield from plain
        harmful, harmless = (
            [r for r in plain if r.label == label] for label in ("harmful", "harmless")
        )
        for split in ("train", "eval"):
            sides = [[r for r in part if r.split == split] for part in (harmful, harmless)]
            share = in_forms if split == "train" else in_forms // 5
            yield from self.in_forms(*sides, share)
        yield from self.answers()

    def redteam(self) -> Iterator[GuardExample]:
        """Red-team prompts with corrected labels, and harmful tasks of no category here.

        Prompts that break a provider's policy and harm nobody are left out.
        """
        read = dict(line.split() for line in CORRECTIONS.read_text().splitlines() if line[0] != "#")
        for row in self._read(REDTEAM):
            label = read.get(digest(likeness(row["prompt"])), "harmful")
            if label != "unclear" and not str(row["category"]).startswith(NOT_HARMFUL):
                yield self._row(row["prompt"], "", label, HELD_OUT)
        for given in harmful_tasks():
            if given.category not in self.categories:
                yield self._row(given.prompt.messages, "", "harmful", HELD_OUT)

    def benign(self) -> Iterator[GuardExample]:
        """Ordinary prompts: questions, essays, code, role-play."""
        for row in self._read(BENIGN):
            yield self._row(row["prompt"], "", "harmless", HELD_OUT)

    def in_forms(
        self, harmful: list[GuardExample], harmless: list[GuardExample], count: int
    ) -> Iterator[GuardExample]:
        """Twins: a harmful and a harmless prompt of similar length in the same dress."""
        known = list(forms().values())
        sides = [sorted(part, key=lambda r: derive("form", r.base)) for part in (harmful, harmless)]
        short = [[r for r in side if len(r.conversation[-1].content) <= 400] for side in sides]
        for number in range(min(count, *map(len, short))):
            form = known[number % len(known)]
            for side in short:
                row = side[number]
                turns = dressed(form, row.conversation, derive("frame", number))
                yield msgspec.structs.replace(
                    row, id=f"{row.base}/{form.name}/0", conversation=turns, form=form.name
                )

    def answers(self) -> Iterator[GuardExample]:
        """Answers that people, or a benchmark's judge, labelled; and ordinary helpful ones."""
        for row in self._read("judge/gptfuzz_labeled_responses.jsonl.gz"):
            yield self._answer(row["question"], row["response"], bool(row["label"]))
        for row in self._read("judge/jailbreakbench_artifacts.jsonl.gz"):
            yield self._answer(row["goal"], row["response"], bool(row["jailbroken"]))
        for row in self._read("judge/xstest_completions_human_labels.jsonl.gz"):
            unsafe = str(row["type"]).startswith("contrast")
            complied = row["final_label"] == "1_full_compliance"
            yield self._answer(row["prompt"], row["completion"], unsafe and complied)
        for row in self._read("judge/openai_rbr_gold.jsonl.gz"):
            turns = tuple(Message(m["role"], m["content"]) for m in row["prompt"])
            harmful = bool(row["propositions"]["disallowed_content"])
            yield self._answer(turns, row["completion"][0]["content"], harmful)
        for row in self._read("hh_rlhf/helpful-base.dev-train.jsonl.gz"):
            *context, last = hh_turns(row["chosen"])
            yield self._answer(tuple(context), last.content, False)
        for row in self._read("synthetic_pairs/typo_helpful_pairs.jsonl.gz"):
            yield self._answer(row["prompt"], row["response_good"], False)

    def _answer(
        self, prompt: str | tuple[Message, ...], answer: str, harmful: bool
    ) -> GuardExample:
        return self._row(prompt, answer.strip(), "harmful" if harmful else "harmless", 0.4)

    def _row(
        self, prompt: str | tuple[Message, ...], answer: str, label: Label, held_out: float
    ) -> GuardExample:
        turns = (Message("user", prompt.strip()),) if isinstance(prompt, str) else prompt
        base = f"data-{digest(likeness(turns[0].content))}"
        split: Split = "eval" if derive("held out", base) % 1000 < 1000 * held_out else "train"
        part = f"answer-{digest(answer)}" if answer else PLAIN
        return GuardExample(
            f"{base}/{part}/0", turns, answer, label, "", self.clauses[label], PLAIN, base, split,
            "file", Origin("guard-data", "file"),
        )  # fmt: skip

    def _read(self, file: str) -> Iterator[dict[str, Any]]:
        with gzip.open(self.data / file, "rt", encoding="utf-8") as stream:
            yield from map(json.loads, stream)


def synthesised(constitution: Constitution, out: Path, forms_each: int) -> Path:
    """Rows of the package's libraries; no model is asked."""
    config = synthesis.SynthesisConfig(
        MaterialConfig(per_category=200), pool=3000, forms_each=forms_each
    )
    deps = MaterialDeps(None, None, constitution.digest, 0)
    print(synthesis.run(constitution, config, out, deps=deps).counts)
    return out


def written(rows: Iterable[GuardExample], file: Path) -> Path:
    """The rows in a file, without answers that are empty."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return file


def thinned(rows: training_rows.TrainingRows) -> training_rows.TrainingRows:
    """At most `MOST` rows of a kind; which ones stay is drawn by their ids."""

    def part(name: str) -> tuple[GuardExample, ...]:
        seen: Counter[tuple[bool, str, str]] = Counter()
        kept: list[GuardExample] = []
        for row in sorted(getattr(rows, name), key=lambda row: derive("thinned", row.id)):
            kind = (row.form == PLAIN, row.label, row.source)
            seen[kind] += 1
            kept += [row] if seen[kind] <= MOST[name, kind[0] or name.startswith("answers")] else []
        return tuple(sorted(kept, key=lambda row: row.id))

    parts = ("prompts", "answers", "prompts_held_out", "answers_held_out")
    return training_rows.TrainingRows(*map(part, parts))


def calibrated(options: argparse.Namespace, constitution: Constitution) -> None:
    """Set the prompt's threshold on ordinary prompts held out, which no row was made from."""
    held = [row for row in Rows(options.data, constitution).benign() if row.split == "eval"]
    loaded = loading.load(str(options.out))
    window = loaded.window or fitting.FitSettings().window
    ordinary = TestFile([TestRow(row.conversation, "", {}) for row in held])
    found = calibration.calibrate(
        loaded.classifier, loaded.thresholds, window, ordinary, budget=REFUSED
    )
    calibration.keep(options.out, found, window)


def counts(rows: training_rows.TrainingRows) -> dict[str, int]:
    """Rows by part and label."""
    parts = ("prompts", "answers", "prompts_held_out", "answers_held_out")
    found = Counter(f"{part} {row.label}" for part in parts for row in getattr(rows, part))
    return dict(sorted(found.items()))


def card(trained: fitting.Trained, rows: dict[str, int]) -> str:
    """The model card, for people."""
    lines = [
        "# The default guard",
        "",
        "Linear heads on the activations of the embedded model (SmolLM2-135M-Instruct), with an "
        "adapter if there is one beside this file, mixed with a bag of words, for prompts and for "
        "answers as they stream. Made by "
        "`python tools/train_guard.py --data DIR`.",
        "",
        f"Data: {LICENCES}.",
        f"Rows: {', '.join(f'{name} {n}' for name, n in rows.items())}.",
        "",
        "| on rows held out | AUROC | recall at 1 % false alarms | bag of words: AUROC | recall |",
        "|---|---|---|---|---|",
    ]
    for stage, f in trained.figures.items():
        base, one = f["baseline"], "0.01"
        cells = [f["auroc"], f["recall_at_fpr"][one], base["auroc"], base["recall_at_fpr"][one]]
        counted = f"{stage}s ({f['n_harmful']} harmful, {f['n_benign']} harmless)"
        lines.append(f"| {counted} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    return "\n".join(
        [
            *lines,
            "",
            "Limits: English; a small model that reads topics better than intentions; text only. "
            "Thresholds are first ones: calibrate on your own traffic. Someone who adapts to the "
            "guard can get past it.",
            "",
        ]
    )


def main() -> None:
    """Rows, training, card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/guard-default"))
    parser.add_argument("--out", type=Path, default=loading.DEFAULT)
    parser.add_argument("--adapter-share", type=float, default=0.75, help="of the rows, for it")
    parser.add_argument("--answer-head", default="mean", choices=list(fitting.ANSWER_HEADS))
    parser.add_argument("--in-forms", type=int, default=800, help="public prompts put into forms")
    parser.add_argument("--forms-each", type=int, default=3, help="forms a library prompt")
    parser.add_argument("--rows-only", action="store_true", help="write the rows and stop")
    options = parser.parse_args()
    constitution = document.load("default")
    library = synthesised(constitution, options.work / "library", options.forms_each)
    public = Rows(options.data, constitution).everything(options.in_forms)
    file = written((row for row in public if row.conversation), options.work / "public.jsonl")
    rows = thinned(training_rows.load([library, file]))
    print(json.dumps(counts(rows), indent=1))
    if options.rows_only:
        return
    learned: tuple[GuardExample, ...] = ()
    settings = fitting.FitSettings(answer_head=options.answer_head)
    about = {"licence": "Apache-2.0", "data": LICENCES, "rows": counts(rows)}
    adapters: list[Path] = []
    with progress_bars() as progress:
        if options.adapter_share:
            parts = adapting.divided(rows, options.adapter_share, options.adapter_share / 2)
            learned, rows = parts.adapter, parts.heads
            adapters = [adapting.adapt(learned, "embedded", options.out, TUNING, report=progress)]
        trained = fitting.train(
            rows,
            hf.load("embedded", adapters=adapters),
            "embedded",
            options.out,
            cache=options.work / "features",
            settings=settings,
            learned=learned,
            about=about,
            report=progress,
        )
    calibrated(options, constitution)
    write_atomic(options.out / "README.md", card(trained, about["rows"]).encode())
    for stage, figures in trained.figures.items():
        shown = ("auroc", "auprc", "recall_at_fpr", "at_threshold", "baseline", "by_form")
        print(stage, json.dumps({name: figures[name] for name in shown}, indent=1))


if __name__ == "__main__":
    main()
