"""From the `engine:` block to the engine that stages run on.

Ray is an optional extra and slow to import: the module that speaks to it is imported by name, and
only when a run asks for it. That is the single place that does so.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import closing, contextmanager

from charter.engine.config import EngineConfig
from charter.engine.mapping import using
from charter.errors import WorkError, boundary

_RAY = "charter.engine.ray"


@contextmanager
def chosen(config: EngineConfig) -> Iterator[None]:
    """Let the data stages inside run where the settings say. Ray starts with the first of them.

    Raises:
        WorkError: Ray is not installed.
    """
    if config.kind == "local":
        yield
        return
    doing = "loading Ray (pip install 'charter-cai[ray]')"
    with boundary(WorkError, doing, catch=(ImportError,)):
        mapper = importlib.import_module(_RAY).RayMapper(config)
    with closing(mapper), using(mapper):
        yield
