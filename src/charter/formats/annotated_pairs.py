"""The annotated-pairs JSON of Inverse Constitutional AI, version 2: who preferred which answer.

    {"metadata": {"version": "2.0", "default_annotator": ID, …},
     "annotators": {ID: {"description", "type", "name"?, …}},
     "comparisons": [{"id", "prompt", "response_a": {"text", …}, "response_b": {"text", …},
                      "annotations": {ID: {"pref": "a" | "b" | null, "no_pref_reason"?, …}},
                      "metadata"?: {…}}]}

Owns the format, as the package `inverse-cai` 0.4 writes and reads it; keys it does not know are
kept. Knows nothing of judges or runs: `labels_as_pairs` turns labels into this and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import msgspec

from charter.errors import DataError
from charter.records import Record

VERSION = "2.0"
_ALIASES: dict[Any, Literal["a", "b"]] = {"a": "a", "b": "b", "text_a": "a", "text_b": "b"}
T = TypeVar("T")


class Annotator(Record, frozen=True):
    """Someone or something that has preferences: a person, a model, a principle.

    Attributes:
        description: what it goes by; of a principle, its text.
        type: `principle`, `human`, `unknown`, or another word.
        name: a short name, "" if it has none.
        extra: further keys.
    """

    description: str = ""
    type: str = "unknown"
    name: str = ""
    extra: dict[str, Any] = {}


class Annotation(Record, frozen=True):
    """One annotator's preference; None has a `reason`, such as `not_applicable` or `invalid`."""

    pref: Literal["a", "b"] | None
    reason: str = ""
    extra: dict[str, Any] = {}


class AnnotatedPair(Record, frozen=True):
    """Two responses to a prompt and what every annotator made of them, by annotator id.

    A response is a mapping with at least a `text`.
    """

    id: str
    prompt: str | None
    response_a: dict[str, Any]
    response_b: dict[str, Any]
    annotations: dict[str, Annotation] = {}
    metadata: dict[str, Any] = {}


class AnnotatedPairs(Record, frozen=True):
    """A whole file. `metadata` is without the version."""

    metadata: dict[str, Any]
    annotators: dict[str, Annotator]
    comparisons: tuple[AnnotatedPair, ...]

    @property
    def default_annotator(self) -> str:
        """The annotator that the data set is about, "" if it names none."""
        return str(self.metadata.get("default_annotator") or "")


def encode(
    metadata: Mapping[str, Any],
    annotators: Mapping[str, Annotator],
    comparisons: Iterable[AnnotatedPair],
) -> Iterator[bytes]:
    """The file in pieces, one comparison at a time, so that it need not fit in memory."""
    head = {"version": VERSION, **metadata}
    yield b'{"metadata": ' + msgspec.json.encode(head)
    yield b',\n"annotators": ' + msgspec.json.encode(
        {id: _annotator(found) for id, found in annotators.items()}
    )
    yield b',\n"comparisons": ['
    before = b"\n"
    for comparison in comparisons:
        yield before + msgspec.json.encode(_pair(comparison))
        before = b",\n"
    yield b"\n]}\n"


def read(path: str | Path) -> AnnotatedPairs:
    """Read a file of format version 2.

    Raises:
        DataError: it is missing, not JSON, of another version, or a field is wrong; says which.
    """
    try:
        tree = msgspec.json.decode(Path(path).read_bytes())
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=path) from error
    except msgspec.MsgspecError as error:
        raise DataError(f"not JSON: {error}", file=path) from error
    return _Reader(path).dataset(tree)


class _Reader:
    """Turns a tree into records, and knows where it is when something is wrong."""

    def __init__(self, path: str | Path) -> None:
        self.path = path

    def dataset(self, tree: Any) -> AnnotatedPairs:
        top = self._mapping(tree, "")
        metadata = dict(self._mapping(top.get("metadata"), "metadata"))
        version = str(metadata.pop("version", "1.0"))
        if version.split(".")[0] != VERSION.split(".")[0]:
            self._fail(f"format version {version!r}", "2.x", "metadata.version")
        annotators = self._mapping(top.get("annotators"), "annotators")
        found = {id: self._annotator(one, f"annotators.{id}") for id, one in annotators.items()}
        rows = top.get("comparisons")
        if not isinstance(rows, list):
            self._fail("missing, or no list", "a JSON array", "comparisons")
        pairs = [self._comparison(one, f"comparisons[{i}]") for i, one in enumerate(rows)]
        return AnnotatedPairs(metadata, found, tuple(pairs))

    def _annotator(self, tree: Any, where: str) -> Annotator:
        rest = dict(self._mapping(tree, where))
        keys = ("description", "type", "name")
        known: dict[str, Any] = {key: rest.pop(key) for key in keys if key in rest}
        return self._record(Annotator, {**known, "extra": rest}, where)

    def _comparison(self, tree: Any, where: str) -> AnnotatedPair:
        rest = dict(self._mapping(tree, where))
        annotations = self._mapping(rest.pop("annotations", {}), f"{where}.annotations")
        found = {
            id: self._annotation(one, f"{where}.annotations.{id}")
            for id, one in annotations.items()
        }
        for side in ("response_a", "response_b"):
            if not isinstance(self._mapping(rest.get(side), f"{where}.{side}").get("text"), str):
                self._fail("no text", "a string", f"{where}.{side}.text")
        known = {name: rest[name] for name in AnnotatedPair.__struct_fields__ if name in rest}
        pair = self._record(AnnotatedPair, {"prompt": None, **known}, where)
        return msgspec.structs.replace(pair, annotations=found)

    def _annotation(self, tree: Any, where: str) -> Annotation:
        rest = dict(self._mapping(tree, where))
        if "pref" not in rest:
            self._fail("no pref", '"a", "b" or null', f"{where}.pref")
        pref = rest.pop("pref")
        if pref is not None and (not isinstance(pref, str) or pref not in _ALIASES):
            self._fail(f"pref {pref!r}", '"a", "b" or null', f"{where}.pref")
        reason = rest.pop("no_pref_reason", "")
        known = {"pref": _ALIASES.get(pref), "reason": reason or "", "extra": rest}
        return self._record(Annotation, known, where)

    def _mapping(self, tree: Any, where: str) -> Mapping[str, Any]:
        if not isinstance(tree, dict):
            self._fail("missing, or no mapping", "a JSON object", where)
        return tree

    def _record(self, type_: type[T], fields: Mapping[str, Any], where: str) -> T:
        try:
            return msgspec.convert(fields, type_)
        except msgspec.ValidationError as error:
            raise DataError(str(error), file=self.path, field=where) from error

    def _fail(self, problem: str, expected: str, field: str) -> NoReturn:
        raise DataError(problem, file=self.path, field=field or None, expected=expected)


def _annotator(annotator: Annotator) -> dict[str, Any]:
    name = {"name": annotator.name} if annotator.name else {}
    known = {**name, "description": annotator.description, "type": annotator.type}
    return {**annotator.extra, **known}


def _annotation(annotation: Annotation) -> dict[str, Any]:
    reason = {"no_pref_reason": annotation.reason} if annotation.reason else {}
    return {**annotation.extra, "pref": annotation.pref, **reason}


def _pair(pair: AnnotatedPair) -> dict[str, Any]:
    annotations = {id: _annotation(one) for id, one in pair.annotations.items()}
    tree = msgspec.structs.asdict(pair) | {"annotations": annotations}
    if not pair.metadata:
        del tree["metadata"]
    return tree
