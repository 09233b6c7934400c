"""A readout judge of one's own: from files of labelled pairs to a folder that judges.

    DIR/
    ├── readout.safetensors   weights of the axes, and of the readout over questions
    ├── readout.json          which model it reads, its axes and figures
    └── CARD.md               the same for people

Owns which file teaches which axis, and the card. The fit is `readout_training`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charter.errors import DataError, InputError, StoreError, boundary
from charter.judging import questions
from charter.judging.pairs import LabelledPair, PairFile, read_pairs
from charter.judging.progress import Progress, silent
from charter.judging.questions import Table, shipped_questions
from charter.judging.readout_training import STRENGTH, read_features, train_judge
from charter.models import hf
from charter.readout.features import FeatureReader
from charter.readout.linear import LinearReadout
from charter.records import Record
from charter.store import write_atomic

PREFERRED = "preferred"
"""Axis of pairs that no principle is named for; it counts the same under every principle."""
CARD_PAGE = "CARD.md"


class Training(Record, frozen=True):
    """What `train` was asked to learn from."""

    pairs: tuple[str, ...] = ()
    """Files of the axis `preferred`."""
    axes: tuple[tuple[str, str], ...] = ()
    """(name, file) of axes that depend on the principle; a name may come more than once."""
    questions: str = ""
    """YAML file of questions about the axes; the shipped ones if empty."""
    strength: float = STRENGTH
    """Inverse L2 penalty on standardised features."""
    limit: int | None = None
    """Pairs to use of each file, the first ones."""
    licence: str = "that of the pairs"
    """For the card."""


class Trained(Record, frozen=True):
    """What `train` wrote."""

    folder: str
    model: str
    identity: str
    axes: dict[str, dict[str, Any]]
    """Figures by axis, on prompts that it was not trained on."""
    questions: dict[str, Any]
    files: dict[str, int]
    """Pairs used by file."""
    dropped: dict[str, int]
    """Rows left out, by reason."""


def train(asked: Training, model: str, out: str | Path, *, progress: Progress = silent) -> Trained:
    """Train a readout judge and write its folder.

    Args:
        asked: files and settings.
        model: whose hidden states it reads: `embedded`, a hub name, or a folder.
        out: folder to write; made if it does not exist.
        progress: told how many pairs have been read, by axis.

    Raises:
        InputError: a file or a setting is wrong; nothing was loaded.
        TrainingError: there are too few pairs.
        StoreError: the folder cannot be written.
    """
    files = _files(asked)
    table = _table(asked, list(files))
    # The folder stands in the readout's card, so that it is found again from anywhere.
    source = str(Path(model).resolve()) if Path(model).is_dir() else model
    reader = FeatureReader(hf.load(source))
    axes = {
        axis: read_features(reader, _joined(found), name=axis, progress=progress)
        for axis, found in files.items()
    }
    every = [file for found in files.values() for file in found]
    dropped = _dropped(every)
    about = {
        "role": "labels pairs; must not evaluate",
        "data": _data(files),
        "licence": asked.licence,
        "limits": _limits(reader, [axis for axis in files if axis not in table]),
    }
    readout = train_judge(axes, reader, table, about=about, strength=asked.strength)
    _write(readout, Path(out), dropped)
    figures = dict(readout.card.about["figures"])
    return Trained(
        str(out),
        readout.card.model,
        readout.identity,
        axes=figures,
        questions=figures.pop("questions"),
        files={file.source: len(file.pairs) for file in every},
        dropped=dropped,
    )


def _files(asked: Training) -> dict[str, list[PairFile]]:
    if not asked.pairs and not asked.axes:
        raise InputError("nothing to learn from", expected="--pairs FILE or --principle-axis")
    if not asked.strength > 0:
        raise InputError(f"is {asked.strength!r}", field="strength", expected="a number above 0")
    wanted = [*((PREFERRED, file) for file in asked.pairs), *asked.axes]
    found: dict[str, list[PairFile]] = {}
    for axis, file in wanted:
        found.setdefault(axis, []).append(read_pairs(file, limit=asked.limit))
    return found


def _table(asked: Training, axes: Sequence[str]) -> Table:
    """Questions about the axes that are to depend on the principle."""
    table = questions.load(asked.questions) if asked.questions else shipped_questions()
    for axis in {name for name, _ in asked.axes}:
        if axis not in table:
            raise DataError(
                f"no questions about axis {axis!r}",
                file=asked.questions or "the shipped questions",
                expected=f"one of {', '.join(table)}, or --questions with a block {axis!r}",
            )
    return {axis: ways for axis, ways in table.items() if axis in axes}


def _joined(files: Sequence[PairFile]) -> list[LabelledPair]:
    return [pair for file in files for pair in file.pairs]


def _dropped(files: Sequence[PairFile]) -> dict[str, int]:
    counts = Counter[str]()
    for file in files:
        counts.update(file.dropped)
        counts["tie"] += sum(pair.p_a == 0.5 for pair in file.pairs)
    return {reason: count for reason, count in counts.items() if count}


def _data(files: Mapping[str, Sequence[PairFile]]) -> str:
    parts = (
        f"{axis}: {', '.join(f'{Path(f.source).name} ({len(f.pairs)} pairs)' for f in found)}"
        for axis, found in files.items()
    )
    return "; ".join(parts)


def _limits(reader: FeatureReader, deaf: Sequence[str]) -> str:
    tokens = reader.settings.max_answer
    said = (
        f"reads this model only, and the first {tokens} tokens of an answer; knows no more than its"
        " pairs; a policy trained hard against it can learn to fool it"
    )
    if deaf:
        said += f"; counts the same under every principle: {', '.join(deaf)}"
    return said


def _write(readout: LinearReadout, out: Path, dropped: Mapping[str, int]) -> None:
    with boundary(StoreError, f"writing {out}", catch=(OSError,)):
        readout.save(out)
    write_atomic(out / CARD_PAGE, _page(readout, dropped).encode())


def _page(readout: LinearReadout, dropped: Mapping[str, int]) -> str:
    about = dict(readout.card.about)
    figures = dict(about["figures"])
    asked = figures.pop("questions")
    left_out = ", ".join(f"{reason} {n}" for reason, n in dropped.items()) or "none"
    lines = [
        "# A readout judge",
        "",
        f"- Reads: `{readout.card.model}`",
        f"- Role: {about['role']}",
        f"- Data: {about['data']}; rows left out: {left_out}",
        f"- Licence: {about['licence']}",
        f"- Limits: {about['limits']}",
        "",
        "Figures on prompts that were not trained on, beside a bag of words on the same rows.",
        "",
        "| axis | agreement | bag of words | longer wins | trained on | Brier | ECE | T |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(axis, found) for axis, found in figures.items()),
    ]
    if asked["n"]:
        share = asked["sign_right_5_fold"]
        lines += ["", f"The direction of {asked['n']} questions was read rightly {share:.0%}."]
    return "\n".join([*lines, ""])


def _row(axis: str, found: Mapping[str, Any]) -> str:
    rate = found["agreement"]
    agreement = f"{rate['value']:.3f} [{rate['low']:.3f}, {rate['high']:.3f}], n={rate['n']}"
    numbers = ("agreement_bag_of_words", "longer_wins")
    cells = [axis, agreement, *(f"{found[name]:.3f}" for name in numbers)]
    cells += [str(found["train_pairs"])]
    cells += [f"{found[name]:.3f}" for name in ("brier", "ece", "temperature")]
    return f"| {' | '.join(cells)} |"
