"""The page that sets several runs side by side. Same shell, style and safety as the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from charter.report.differing import differing
from charter.report.files import RunFiles
from charter.report.page import render, save
from charter.report.paired import Paired, paired_data, paired_lines
from charter.report.settings import column, recipe_differences, scorers_differ
from charter.report.side_by_side import forests, lines, measured
from charter.report.suites import suites


def write_contrast(
    runs: Mapping[str, RunFiles], paired: Sequence[Paired], note: str, path: Path
) -> None:
    """Write the comparison of runs. The same folders give the same bytes.

    Args:
        runs: by the name that the page gives them; the first is the reference.
        paired: differences from the first run.
        note: on how many of them were tested together.
        path: file to write.

    Raises:
        StoreError: a record or a summary is damaged, or the disk is full.
    """
    html = render(
        "contrast.html",
        {
            "runs": [column(label, files) for label, files in runs.items()],
            "lines": lines(runs),
            "data": measured(runs),
            "forests": forests(runs),
            "paired": paired_lines(paired),
            "paired_data": paired_data(paired),
            "note": note,
            "settings": recipe_differences(runs),
            "scorers": scorers_differ(runs),
            "differing": differing(runs),
            "suites": [(label, s) for label, files in runs.items() if (s := suites(files))],
        },
    )
    save(path, html)
