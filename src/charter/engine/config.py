"""The `engine:` block of a recipe, or of a command: where data stages run. Knows no engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from ruamel.yaml import YAML

from charter import yaml_tree
from charter.errors import InputError
from charter.records import Record

Count = Annotated[int, Meta(ge=1)]
Amount = Annotated[float, Meta(ge=0)]


class EngineConfig(Record, frozen=True):
    """Where critique, pair sampling, labelling and evaluation run. No setting changes a record."""

    kind: Literal["local", "ray"] = "local"
    """`local` works in this process; `ray` spreads the same chunks over Ray's workers."""
    address: str = ""
    """Of a Ray cluster to join, from one of its nodes (`auto`, or `host:6379`); without one, a Ray
    is started on this machine."""
    actors: Count = 2
    """Most workers at a time: one a GPU with a local model, or many against an endpoint."""
    min_actors: Count = 1
    """Fewest workers; Ray starts more of them while chunks are waiting."""
    cpus: Amount = 1.0
    """CPUs set aside for each worker; 0.1 or so for one that only waits for an endpoint."""
    gpus: Amount = 0.0
    """GPUs set aside for each worker."""
    resources: dict[str, Amount] = {}
    """Ray's own named resources of each worker, to place workers on nodes that have them."""
    ahead: Annotated[int, Meta(ge=2)] = 8
    """Chunks under way or waiting, a worker. More hide slow chunks, and take more memory."""
    threads: Annotated[int, Meta(ge=0)] = 0
    """Threads of a local model in each worker; 0 for as many as here, so that it rounds alike."""
    restarts: Annotated[int, Meta(ge=0)] = 3
    """Times in a row that Ray may fail without a chunk done; after that the run ends."""
    object_store_mb: Annotated[int, Meta(ge=80)] = 256
    """Shared memory of a Ray that is started here; chunks on their way lie in it."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What does not fit together: field, problem, and what was expected."""
        if self.min_actors > self.actors:
            problem = f"{self.min_actors} workers at least are more than {self.actors} at most"
            yield "engine.min_actors", problem, f"at most engine.actors ({self.actors})"
        if self.kind == "local" and self.address:
            yield "engine.address", "the local engine joins no cluster", "engine.kind: ray"
        if self.address.startswith("ray://"):
            problem = "the call cache must lie on a node of the cluster"
            yield "engine.address", problem, "`auto`, or host:port, from a node of the cluster"


def named(text: str, *, by: str) -> EngineConfig:
    """The engine that a command names: `local`, `ray`, or a block in YAML as a recipe has it.

    Args:
        text: what the user wrote.
        by: the option it was written for, for messages.

    Raises:
        InputError: it is neither, or its settings do not fit together.
    """
    yaml_tree.parse(line := f"{by}: {text}", file=by, kind=InputError)
    plain = YAML(typ="safe").load(line)[by]
    try:
        block = {"kind": plain} if isinstance(plain, str) else plain
        config = msgspec.convert(block, EngineConfig, strict=True)
    except msgspec.ValidationError as error:
        expected = "local, ray, or settings such as {kind: ray, actors: 4}"
        raise InputError(str(error), field=by, expected=expected) from error
    for field, problem, expected in config.problems():
        raise InputError(problem, field=field, expected=expected)
    return config
