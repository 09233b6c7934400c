"""Several runs compared: `charter report RUN RUN2 …`.

Joins what the evaluation defines (which reading of an answer counts for which metric) with the
page that the report draws. Runs are compared with the first one, model by model, on the prompts
that both have asked.

Shape suffixes: M models of all runs, P prompts of all runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from charter.errors import InputError
from charter.evaluate.config import BENIGN, BORDERLINE, REDTEAM, REFUSAL, EvaluateConfig
from charter.evaluate.measure import HARM, harmful_compliance
from charter.evaluate.table import TOKENS, ScoreTable, tabulate
from charter.records import Answer, Record
from charter.report.contrast_page import write_contrast
from charter.report.differing import key_of
from charter.report.files import RunFiles
from charter.report.paired import Paired
from charter.seeds import derive
from charter.statistics.multiple import family
from charter.statistics.paired import mcnemar, paired_difference, permutation

FILE = "comparison.html"
_KINDS = {"refusal_redteam": (REDTEAM,), "over_refusal": (BENIGN, BORDERLINE)}
_BETWEEN = "\0"
_HALF = 0.5


class Contrast(Record, frozen=True):
    """The result of `charter report` on several runs."""

    report: str
    runs: dict[str, str]
    """By the name that the page gives them: their folders."""
    paired: list[Paired]
    note: str
    """On how many differences were tested, to be read beside the p-values."""


def compare(folders: Sequence[str | Path], out: str | Path | None = None) -> Contrast:
    """Compare runs and write the page.

    Args:
        folders: run folders; the first is the reference.
        out: file to write; `comparison.html` in the first run if None.

    Raises:
        InputError: a folder is missing, or named twice.
        StoreError: a record or the summary is damaged, or the disk is full.
    """
    runs = {label: RunFiles(path) for label, path in labelled(folders).items()}
    found, note = _judged_together(list(differences(runs)))
    path = Path(out) if out is not None else next(iter(runs.values())).path / FILE
    write_contrast(runs, found, note, path)
    return Contrast(str(path), {k: str(files.path) for k, files in runs.items()}, found, note)


def labelled(folders: Sequence[str | Path]) -> dict[str, Path]:
    """Folders by name: the last part of the path, or all of it where that is not enough.

    Raises:
        InputError: a folder is named twice.
    """
    paths = [Path(folder) for folder in folders]
    twice = [p for i, p in enumerate(paths) if p.resolve() in {q.resolve() for q in paths[:i]}]
    if twice:
        raise InputError("the run is named twice", file=twice[0], expected="different runs")
    names = [p.resolve().name for p in paths]
    return {
        name if names.count(name) == 1 else str(path): path
        for name, path in zip(names, paths, strict=True)
    }


def differences(runs: Mapping[str, RunFiles]) -> Iterator[Paired]:
    """Every model of every later run against the first run's, metric by metric."""
    table = tabulate(_all_answers(runs))
    if not table.models:
        return
    outcomes = _outcomes(table, _threshold(next(iter(runs.values()))))
    asked_MP = ~np.isnan(table.readings(TOKENS))
    places = {name: i for i, name in enumerate(table.models)}
    first, *others = runs
    models = dict.fromkeys(name.partition(_BETWEEN)[2] for name in table.models)
    for metric, run, model in product(outcomes, others, models):
        one, other = places.get(run + _BETWEEN + model), places.get(first + _BETWEEN + model)
        if one is not None and other is not None:
            values_MP, meant_P = outcomes[metric]
            rows = [one, other]
            found = _paired(values_MP[rows][:, meant_P], asked_MP[rows][:, meant_P], metric)
            if found is not None:
                yield replace(found, model=model, run=run, reference=first)


_Outcomes = dict[str, tuple[np.ndarray, np.ndarray]]
"""By metric: outcomes [M, P], nan where unscored, and the prompts that are meant [P]."""


def _outcomes(table: ScoreTable, threshold: float) -> _Outcomes:
    meant = {kind: np.isin(table.kinds_P, kinds) for kind, kinds in _KINDS.items()}
    redteam_P, every_P = table.kinds_P == REDTEAM, np.ones(len(table.kinds_P), dtype=bool)
    harm_MP = np.full((len(table.models), len(every_P)), np.nan)
    harm_MP[:, redteam_P] = _reached(harmful_compliance(table), threshold)
    refused_MP = _reached(table.readings(REFUSAL), _HALF)
    return {
        HARM: (harm_MP, redteam_P),
        **{metric: (refused_MP, meant_P) for metric, meant_P in meant.items()},
        "mean_tokens": (table.readings(TOKENS), every_P),
    }


def _reached(readings_MP: np.ndarray, threshold: float) -> np.ndarray:
    return np.where(np.isnan(readings_MP), np.nan, readings_MP >= threshold)


def _paired(values_2P: np.ndarray, asked_2P: np.ndarray, metric: str) -> Paired | None:
    """The first row less the second, on the prompts that both were asked."""
    both_P = asked_2P.all(axis=0)
    a_P, b_P = values_2P[:, both_P]
    complete = int((~np.isnan(a_P) & ~np.isnan(b_P)).sum())
    if not complete:
        return None
    apart, unscored = int((asked_2P.any(axis=0) & ~both_P).sum()), len(a_P) - complete
    if metric == "mean_tokens":
        seed = derive("contrast", metric)
        rate, p = paired_difference(a_P, b_P, seed=seed), permutation(a_P, b_P, seed=seed).p
    else:
        test = mcnemar(a_P, b_P)
        rate, p = test.difference, test.p
    return Paired(
        metric, "", "", "", rate.value, rate.low, rate.high, rate.n, unscored, apart, float(p)
    )


def _judged_together(found: list[Paired]) -> tuple[list[Paired], str]:
    if not found:
        return [], ""
    together = family([p.p for p in found])
    adjusted = zip(found, together.holm, strict=True)
    return [replace(p, p_adjusted=float(holm)) for p, holm in adjusted], together.note


def _all_answers(runs: Mapping[str, RunFiles]) -> Iterator[Answer]:
    """Answers of all runs, told apart by their model's name, prompts matched by their words."""
    for label, files in runs.items():
        for answer in files.stage("evaluate").records(Answer):
            prompt = replace(answer.prompt, id=key_of(answer.prompt))
            yield replace(answer, model=label + _BETWEEN + answer.model, prompt=prompt)


def _threshold(files: RunFiles) -> float:
    """The first run's own threshold holds for all, so that outcomes mean the same."""
    given = files.recipe.get("evaluate")
    value = given.get("compliance_threshold") if isinstance(given, Mapping) else None
    return float(value) if isinstance(value, int | float) else EvaluateConfig().compliance_threshold
