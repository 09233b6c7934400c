"""`charter guard train | calibrate | evaluate | cascade`: the classifier behind a guard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.output import as_json_option, say

if TYPE_CHECKING:
    from charter.guard.calibration import Calibration
    from charter.guard.evaluation import Evaluation
    from charter.guard.fitting import Trained
    from charter.guard.labelled import TestFile


class Share(click.ParamType[float]):
    """A share as a number (`0.005`) or in per cent (`0.5%`), above 0 and below 1."""

    name = "share"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """See click."""
        text = str(value).strip()
        try:
            number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f"{value!r} is no share, such as 0.005 or 0.5%", param, ctx)
        if not 0 < number < 1:
            self.fail(f"{value!r} is not above 0 and below 1 (100%)", param, ctx)
        return number


_columns = (
    click.option("--text-column", metavar="NAME", help="Column of the prompt."),
    click.option("--answer-column", metavar="NAME", help="Column of the answer."),
    click.option("--limit", type=click.IntRange(1), help="Most rows of a file."),
    click.option("--window", type=click.IntRange(1), help="Characters of an answer at a time."),
)


def _with_columns(command: Any) -> Any:
    for option in reversed(_columns):
        command = option(command)
    return command


@click.command()
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder that `synthesize` wrote, or a file of such rows. May be given several times.",
)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--model", default="embedded", show_default=True, help="Whose activations are read.")
@click.option(
    "--answer-head",
    type=click.Choice(["mean", "swim", "cumulative-max"]),
    default="mean",
    show_default=True,
    help="Loss of the head that reads answers.",
)
@click.option("--layer-step", default=2, show_default=True, type=click.IntRange(1))
@click.option(
    "--adapter-share",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="Train an adapter on this share of the rows first, and the heads on the others.",
)
@click.option("--lora", is_flag=True, help="Fine-tune a classifier instead; a plain checkpoint.")
@click.option("--lora-rank", default=16, show_default=True, type=click.IntRange(0))
@click.option("--epochs", default=1.0, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--learning-rate", default=5e-4, show_default=True, type=click.FloatRange(0))
@click.option("--cache", default="runs/features/guard", show_default=True, type=click.Path())
@as_json_option
def train(data: tuple[Path, ...], out: Path, model: str, as_json: bool, **options: Any) -> None:
    """Train a guard on the rows of `charter guard synthesize`.

    Rows of the eval split are held out: the guard's card has its figures on them.
    """
    import msgspec

    from charter.display import progress_bars
    from charter.guard import training_rows

    rows = training_rows.load(data)
    with progress_bars(enabled=not as_json) as progress:

        def report(doing: str, done: int, of: int) -> None:
            progress(doing, done, of)

        work = _tuned if options["lora"] else _fitted
        found = work(rows, model, out, options, report)
    say(msgspec.to_builtins(found), as_json, _trained_text(found))


def _fitted(rows: Any, model: str, out: Path, options: dict[str, Any], report: Any) -> Trained:
    from charter.guard import adapting, fitting
    from charter.models import hf

    settings = fitting.FitSettings(options["answer_head"], options["layer_step"])
    share, adapters = options["adapter_share"], list[Path]()
    parts = adapting.divided(rows, share, share)
    if parts.adapter:
        tuning = _tuning(options)
        adapters.append(adapting.adapt(parts.adapter, model, out, tuning, report=report))
    return fitting.train(
        parts.heads,
        hf.load(model, adapters=adapters),
        model,
        out,
        cache=Path(options["cache"]),
        settings=settings,
        learned=parts.adapter,
        report=report,
    )


def _tuned(rows: Any, model: str, out: Path, options: dict[str, Any], report: Any) -> Trained:
    from charter.guard import tuning
    from charter.records import Checkpoint

    return tuning.train(rows, Checkpoint(model), out, _tuning(options), report=report)


def _tuning(options: dict[str, Any]) -> Any:
    from charter.training.settings import TrainSettings

    return TrainSettings(
        lora_rank=options["lora_rank"],
        epochs=options["epochs"],
        learning_rate=options["learning_rate"],
    )


@click.command()
@click.option("--guard", default="default", show_default=True, help="Folder of a guard.")
@click.option("--benign", required=True, metavar="FILE", help="Harmless traffic: CSV or JSONL.")
@click.option(
    "--refusal-budget", default="0.5%", show_default=True, type=Share(), help="May be refused."
)
@click.option("--confidence", type=Share(), help="Promise it with this confidence, not on average.")
@click.option(
    "--prompt-share", default="50%", show_default=True, type=Share(), help="Prompts' part of it."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write a copy of the guard there.")
@_with_columns
@as_json_option
def calibrate(
    guard: str,
    benign: str,
    refusal_budget: float,
    confidence: float | None,
    prompt_share: float,
    out: Path | None,
    as_json: bool,
    **columns: Any,
) -> None:
    """Set a guard's thresholds so that refusals of harmless traffic stay within a budget.

    The rows must be like the traffic to come, and unknown to the guard. With answers, the budget
    is divided between prompts and answers.
    """
    import msgspec

    from charter.guard import calibration, loading
    from charter.guard.config import GuardSettings

    if guard == "default" and out is None:
        raise click.UsageError("the shipped guard is not changed in place: give --out DIR")
    loaded = loading.load(guard)
    window = columns["window"] or loaded.window or GuardSettings().window
    found = calibration.calibrate(
        loaded.classifier,
        loaded.thresholds,
        window,
        _rows(benign, columns),
        budget=refusal_budget,
        confidence=confidence,
        prompt_share=prompt_share,
    )
    folder = calibration.keep(loading.folder_of(guard), found, window, copy=out)
    said = {**msgspec.to_builtins(found), "guard": str(folder)}
    say(said, as_json, _calibrated_text(found, folder))


@click.command()
@click.option("--guard", default="default", show_default=True, help="Folder of a guard.")
@click.option("--harmful", required=True, metavar="FILE", help="CSV or JSONL, .gz too.")
@click.option("--benign", required=True, metavar="FILE", help="CSV or JSONL, .gz too.")
@click.option(
    "--benign-text-column", metavar="NAME", help="[default: --text-column or a usual name]"
)
@_with_columns
@as_json_option
def evaluate(
    guard: str,
    harmful: str,
    benign: str,
    benign_text_column: str | None,
    as_json: bool,
    **columns: Any,
) -> None:
    """Measure a guard on files: areas, recall at few false alarms, and at its own thresholds.

    With answers, it is the answers that are judged; without, the prompts.
    """
    from charter.guard import evaluation, labelled, loading, readout_guard
    from charter.guard.config import GuardSettings

    loaded = loading.load(guard)
    window = columns["window"] or loaded.window or GuardSettings().window
    column = benign_text_column or labelled.shared_column(benign, columns["text_column"])
    other = {**columns, "text_column": column}
    found = evaluation.evaluate(
        loaded.classifier,
        loaded.thresholds,
        window,
        _rows(harmful, columns),
        _rows(benign, other),
        baselines=readout_guard.word_heads(loading.folder_of(guard)),
    )
    say(found.as_json(), as_json, _evaluated_text(found))


@click.command()
@click.option("--first", required=True, metavar="DIR", help="Cheap guard: it reads everything.")
@click.option("--second", required=True, metavar="DIR", help="Dear one: reads what that flags.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--escalate", default=0.1, show_default=True, type=click.FloatRange(0, 1))
@click.option("--weight", default=0.55, show_default=True, type=click.FloatRange(0, 1))
@as_json_option
def cascade(
    first: str, second: str, out: Path, escalate: float, weight: float, as_json: bool
) -> None:
    """Join two guards: the second is asked from a score of the first on, and both are averaged.

    Both are copied into the new folder; `default` is the shipped one. It blocks from one half on
    until `calibrate` has set its thresholds.
    """
    import msgspec

    from charter.guard import cascade as joining
    from charter.guard.folders import folder_of

    card = joining.make(out, folder_of(first), folder_of(second), escalate, weight)
    say(
        {**msgspec.to_builtins(card), "guard": str(out)},
        as_json,
        f"First {first}, from {escalate:g} on also {second}.\nGuard: {out}",
    )


def _rows(file: str, columns: dict[str, Any]) -> TestFile:
    from charter.guard import labelled

    return labelled.read(
        file,
        text=columns["text_column"],
        answer=columns["answer_column"],
        limit=columns["limit"],
    )


def _trained_text(found: Trained) -> str:
    lines = [f"Trained on {', '.join(f'{n} {part}' for part, n in found.rows.items())}."]
    for stage, figures in found.figures.items():
        baseline = figures["baseline"]
        beside = "" if baseline is None else f" (bag of words {baseline['auroc']:.3f})"
        lines.append(
            f"{stage}: AUROC {figures['auroc']:.3f}{beside}, recall at 1 % false alarms "
            f"{figures['recall_at_fpr']['0.01']:.3f}, on rows held out"
        )
    return "\n".join([*lines, f"Guard: {found.out}"])


def _calibrated_text(found: Calibration, folder: Path) -> str:
    kind = "on average" if found.confidence is None else f"with confidence {found.confidence:g}"
    lines = [f"Refusal budget {found.budget:.3%} {kind}, {found.n} harmless rows."]
    for stage, chosen in (("prompt", found.prompt), ("answer", found.answer)):
        if chosen is None:
            lines.append(f"{stage}: no answers in the file; its threshold stays as it was")
        else:
            lines.append(
                f"{stage}: threshold {chosen.value:.6g}, {chosen.refused.value:.3%} refused here, "
                f"at most {chosen.upper:.3%} (95 % bound)"
            )
    lines.append(f"total: {found.total.value:.3%} refused, at most {found.total_upper:.3%}")
    return "\n".join([*lines, f"Guard: {folder}"])


def _evaluated_text(found: Evaluation) -> str:
    def line(name: str, guard: float, low: float, high: float, other: float | None) -> str:
        beside = "" if other is None else f"{other:10.3f}"
        return f"{name:24} {guard:8.3f}  [{low:.3f}, {high:.3f}]{beside}"

    f, b = found.figures, found.baseline
    areas = (("AUROC", f.auroc, b and b.auroc), ("AUPRC", f.auprc, b and b.auprc))
    recalls = (
        (f"recall at {float(rate):.1%} alarms", r, b and b.recall_at_fpr[rate])
        for rate, r in f.recall_at_fpr.items()
    )
    rows = [
        line(name, rate.value, rate.low, rate.high, other.value if other else None)
        for name, rate, other in (*areas, *recalls)
    ]
    own = (("recall", found.recall), ("false alarms", found.false_alarms))
    rows += [line(f"{n} at threshold", r.value, r.low, r.high, None) for n, r in own]
    title = f"{found.n_harmful} harmful, {found.n_benign} benign {found.stage}s"
    if found.unscored:
        title += ", left out: " + ", ".join(f"{why} {n}" for why, n in found.unscored.items())
    head = f"{'':24} {'guard':>8}  {'95 % interval':16}" + ("bag of words" if b else "")
    return "\n".join([title, head, *rows])


COMMANDS = (train, calibrate, evaluate, cascade)
