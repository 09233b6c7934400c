"""What a judge is made of, said without loading anything.

Owns the digest material by which a labelling stage knows whether its folder still fits: settings,
templates, examples, and the contents of every file a judge names. Builds nothing (see `making`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charter.errors import DataError
from charter.judging.calibrated import FILE as CALIBRATION
from charter.judging.config import NO_CALIBRATION, JudgeConfig, Kind, resolve
from charter.judging.menu import FORMATS
from charter.prompts.shots import judged_shots
from charter.prompts.templates import templates_digest
from charter.readout.library import JUDGE, readout_identity
from charter.readout.linear import load
from charter.records import digest

_TEMPLATES: dict[Kind, tuple[str, ...]] = {
    "chain-of-thought": ("reasoning_question", "reasoning_verdict"),
    "rating": ("answer_shown", "rating_question"),
    "pointwise": ("answer_shown", "pointwise_question"),
    "votes": ("votes_question",),
}


def fingerprint(config: JudgeConfig, judges: Mapping[str, JudgeConfig]) -> list[Any]:
    """All that a judge's verdicts depend on, but for its model: settings, templates, files.

    Raises:
        InputError: a file that it names cannot be read.
    """
    config.check()
    names = [*_TEMPLATES.get(config.kind, ())]
    if config.kind in ("multiple-choice", "chain-of-thought", "votes"):
        names += [FORMATS[config.format].comparison, FORMATS[config.format].question]
    parts: list[Any] = [config, templates_digest(*names)]
    if config.shots:
        parts.append(digest(judged_shots()[: config.shots]))
    if config.kind == "readout":
        parts.append(load(Path(config.path)).identity if config.path else readout_identity(JUDGE))
    parts += [file_digest(file) for file in (config.file, calibration_file(config)) if file]
    for name in config.members:
        parts.append(fingerprint(resolve(name, judges), judges))
    return parts


def file_digest(file: str) -> str:
    """Digest of a file's bytes; for a data set on the hub, of its name.

    Raises:
        DataError: it cannot be read.
    """
    if file.startswith("hf:"):
        return digest(file)
    try:
        with Path(file).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=file) from error


def calibration_file(config: JudgeConfig) -> str:
    """The calibration to apply, or "" for none."""
    if config.calibration == NO_CALIBRATION:
        return ""
    beside = Path(config.path) / CALIBRATION
    if config.kind == "readout" and config.path and not config.calibration and beside.exists():
        return str(beside)
    return config.calibration
