"""A stage's work in a Ray actor. Knows neither stages nor models: they come in the package.

A failure of the work is sent back as data: Ray would take it for a broken worker and try again,
and what a stage raises on purpose must reach the run as it was raised.
"""

from __future__ import annotations

import pyarrow
from ray import cloudpickle

from charter.engine.mapping import Work
from charter.engine.ray_feed import NOTHING, Chunk, table
from charter.errors import CharterError, WorkError


class Worker:
    """Unpacks the work once and does it chunk by chunk.

    Args:
        package: what `ray_travel.pack` made of the work. Both ends are processes of one run: no
            file is read this way.
    """

    def __init__(self, package: bytes) -> None:
        self._work: Work | None = None
        self._failed = b""
        try:
            self._work = cloudpickle.loads(package)
        except Exception as error:
            self._failed = failure(error)

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """Outcomes for the chunks of a block, under the same numbers."""
        rows = zip(*batch.to_pydict().values(), strict=True)
        return table([self._answer(number, body) for number, body in rows])

    def _answer(self, number: int, body: bytes) -> Chunk:
        if number == NOTHING or self._work is None:
            return number, self._failed
        try:
            return number, cloudpickle.dumps(list(self._work(cloudpickle.loads(body))))
        except Exception as error:
            return number, failure(error)


def failure(error: Exception) -> bytes:
    """An error as bytes; one that cannot travel is put into words."""
    try:
        blob: bytes = cloudpickle.dumps(error)
        cloudpickle.loads(blob)
    except Exception:
        blob = cloudpickle.dumps(WorkError(f"a worker failed: {type(error).__name__}: {error}"))
    return blob


def opened(body: bytes) -> list[object]:
    """The outcomes of a chunk.

    Raises:
        CharterError: what the work raised, if it did; any other error of it as well.
    """
    found = cloudpickle.loads(body)
    if isinstance(found, Exception):
        if not isinstance(found, CharterError):
            found.add_note("raised in a Ray worker")
        raise found
    assert isinstance(found, list)
    return found
