"""Stages of one run that another run goes on from, instead of doing them itself.

Owns where a finished stage of another run is found and what is copied of it. Which stages these are
is the pipeline's business.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from charter.errors import DataError, StoreError, boundary
from charter.store import MANIFEST, Manifest, RunFolder, write_atomic


def adopt(
    source: Path, run: RunFolder, names: Collection[str], copied: Collection[str]
) -> dict[str, Manifest]:
    """Manifests of the stages that a run takes from another one.

    Args:
        source: the other run; it may be the same.
        run: the run that takes them.
        names: stages to take; those that the source has not finished are left out.
        copied: stages whose records the run needs in its own folder. A finished stage that is there
            already is used as it is.

    Raises:
        DataError: one of `copied` is finished in neither run.
    """
    theirs, ours = RunFolder(source).manifests(), run.manifests()
    found = {name: manifest for name, manifest in theirs.items() if name in names}
    for name in copied:
        if name not in ours:
            if name not in theirs:
                expected = f"a run with a finished stage {name!r}"
                raise DataError("nothing to go on from", file=source, expected=expected)
            _copy(source / name, run, name)
    return found | {name: run.manifests()[name] for name in copied}


def require(stages: Collection[str], adopted: Collection[str], source: Path) -> None:
    """Check that a run may go on from what it adopted.

    Raises:
        DataError: a stage that later ones read is missing.
    """
    for name in stages:
        if name not in adopted:
            expected = f"a run with a finished stage {name!r}"
            raise DataError("cannot go on from this run", file=source, expected=expected)


def _copy(stage: Path, run: RunFolder, name: str) -> None:
    """Copy a stage's folder, its manifest last: without one it counts as unfinished."""
    run.set_aside(name)
    target = run.path / name
    with boundary(StoreError, f"copying {stage}", catch=(OSError, shutil.Error)):
        shutil.copytree(stage, target, ignore=shutil.ignore_patterns(MANIFEST))
        blob = (stage / MANIFEST).read_bytes()
    write_atomic(target / MANIFEST, blob)
