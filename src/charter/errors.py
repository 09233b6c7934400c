"""Everything that `charter` raises on purpose.

    CharterError
    ├── InputError          what the user gave cannot be used                     exit code 2
    │   ├── DocumentError       a constitution does not hold together
    │   ├── RecipeError         a recipe or a key=value override is wrong
    │   └── DataError           a prompt, pair or record file cannot be read
    └── WorkError           the input was fine, the work failed                   exit code 1
        ├── ModelError          a model could not be found, loaded or run
        │   └── CallFailed          one call to a remote model failed; judges abstain on it
        ├── StoreError          a run folder could not be written or is damaged
        └── TrainingError       an optimiser produced nothing usable (no data, NaN loss)

A judge that fails is *not* an error: it yields an `Abstention` record (see `records`), which is
counted and shown. Errors are for what must stop the run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


class CharterError(Exception):
    """Base of all errors raised on purpose; carries the exit code of the command."""

    exit_code = 1


class InputError(CharterError):
    """Something the user wrote is wrong: says where, which field, and what was expected.

    Args:
        problem: what is wrong, in one clause.
        file: the file it stands in, if any.
        line: 1-based line in that file, if known.
        field: dotted path of the offending field, such as `principles[3].id`.
        expected: what would have been right.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        expected: str | None = None,
    ) -> None:
        self.problem, self.file, self.line = problem, file, line
        self.field, self.expected = field, expected
        place = "" if file is None else f"{file}:{line}: " if line else f"{file}: "
        named = "" if field is None else f"field {field!r}: "
        wanted = "" if expected is None else f" (expected {expected})"
        super().__init__(f"{place}{named}{problem}{wanted}")


class DocumentError(InputError):
    """A constitution is not valid."""


class RecipeError(InputError):
    """A recipe, or an override on the command line, is not valid."""


class DataError(InputError):
    """A data file is not what it should be."""


class WorkError(CharterError):
    """The input was acceptable and the work failed all the same."""


class ModelError(WorkError):
    """A model cannot be found, loaded or run."""


class CallFailed(ModelError):  # noqa: N818 - what happened to a call, often caught
    """One call to a remote model failed after all of its retries.

    Where failure is data it is caught: a judge turns it into an `Abstention` with this reason.

    Args:
        reason: a stable word that is counted, such as `timeout`.
        detail: what the server or the connection said.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(
            f"a call failed ({reason}): {detail}" if detail else f"a call failed ({reason})"
        )


class StoreError(WorkError):
    """A run folder cannot be written, or does not hold what its manifest says."""


class TrainingError(WorkError):
    """Training had nothing to learn from, or diverged."""


@contextlib.contextmanager
def boundary(
    kind: type[WorkError], doing: str, *, catch: tuple[type[Exception], ...]
) -> Iterator[None]:
    """Attribute a foreign exception once, where the foreign code is called.

    Args:
        kind: the `WorkError` to raise in its place.
        doing: what was being done, for the message ("loading model 'x'").
        catch: the foreign exception types that mean this kind of failure. Anything else passes,
            since a bug should look like a bug.

    Raises:
        WorkError: of the given kind, chained to the original.
    """
    try:
        yield
    except CharterError:
        raise
    except catch as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise kind(f"{doing} failed: {reason}") from error
