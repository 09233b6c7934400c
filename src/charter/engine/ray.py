"""The Ray engine: the same chunks through Ray Data, on the workers of a cluster.

Owns the driver's side: a pool of actors that Ray Data sizes by what is waiting, the hand-over of
chunks (`ray_feed`), and going on when Ray fails. Ray may answer in any order; groups come back in
the order of the input (`window`), so that a stage writes the bytes that the local engine would
have written, resumes on either engine, and gives later stages the same digests.

What is lost when something dies:

    a worker               its chunk is worked on again by another one
    a node, or all of Ray  chunks that had not come back are handed out again by a new Ray
    this process           chunks that had not been written; calls already paid for are in the cache
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from typing import Any

import ray
from ray import cloudpickle
from ray.data import ActorPoolStrategy, DataContext
from ray.data.exceptions import SystemException
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from charter.engine import ray_start
from charter.engine.config import EngineConfig
from charter.engine.mapping import Results, Work
from charter.engine.ray_cache import CacheKeeper
from charter.engine.ray_feed import NOTHING, Chunk, Feed, FeedSource
from charter.engine.ray_travel import pack
from charter.engine.ray_worker import Worker, opened
from charter.engine.window import Window
from charter.errors import WorkError

_IN_FLIGHT = 2
"""Chunks at a worker: the one it works on, and the next, so that it never waits for the driver."""


class RayMapper:
    """A `Mapper` on Ray. Joins or starts Ray when the first chunk is there. To be closed.

    Args:
        config: the workers, and the cluster.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.config, self._ours = config, False

    def __call__(self, work: Work, groups: Iterable[list[Any]]) -> Results:
        """See `Mapper`.

        Raises:
            WorkError: Ray cannot be had, or fails again and again. Whatever `work` raises.
        """
        window = Window(groups, self.config.ahead * self.config.actors)
        failures = 0
        while True:
            before, problem = window.returned, "the workers ended early"
            try:
                yield from self._through_ray(work, window)
            except (RayError, SystemException) as error:
                problem = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            if window.finished:
                return
            failures = 0 if window.returned > before else failures + 1
            if failures > self.config.restarts:
                raise WorkError(
                    f"Ray failed {failures} times without a chunk done; the last time: {problem}. "
                    "Everything written is kept: run again to go on"
                )
            self._let_go()

    def close(self) -> None:
        """End the Ray that was started here; one that was joined goes on without us."""
        self._let_go()

    def _through_ray(self, work: Work, window: Window) -> Results:
        """Hand out what has no outcome, and whatever follows, until Ray fails or all is done."""
        todo = [*window.unanswered(), *window.draw()]
        if not todo:
            return
        self._connect()
        with _actors() as start:
            keeper = cache(lambda path: start(CacheKeeper, path.resolve()))
            package = pack(work, keeper, threads=self.config.threads)
            feed = start(Feed)
            feed.advance.remote(_chunks(todo), NOTHING, window.exhausted)
            # Workers end before the actors that they ask, or they would ask in vain, and again.
            with closing(self._answers(feed, package)) as answers:
                for number, body in answers:
                    yield from window.accept(number, opened(body))
                    fresh = _chunks(window.draw())
                    feed.advance.remote(fresh, number, window.exhausted)

    def _answers(self, feed: Any, package: bytes) -> Generator[Chunk, None, None]:
        """Outcomes as they come, in any order."""
        config = self.config
        # Ray Data counts read tasks, of which there is one, and doubts that it feeds many workers.
        warnings.filterwarnings("ignore", "The minimum number of concurrent actors", UserWarning)
        with DataContext.current(_context()):
            read = ray.data.read_datasource(FeedSource(feed), override_num_blocks=1, num_cpus=0)
            answers = read.map_batches(
                Worker,
                fn_constructor_args=(package,),
                batch_size=1,
                batch_format="pyarrow",
                compute=ActorPoolStrategy(
                    min_size=config.min_actors,
                    max_size=config.actors,
                    max_tasks_in_flight_per_actor=_IN_FLIGHT,
                ),
                num_cpus=config.cpus,
                num_gpus=config.gpus,
                resources=config.resources or None,
            )
            # Nothing is fetched ahead: the chunk that an answer would wait for may come after it.
            batches = answers.iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            )
        for batch in batches:
            for number, body in zip(*batch.to_pydict().values(), strict=True):
                if number != NOTHING:
                    yield number, body

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        if self.config.address:
            ray_start.join(self.config.address)
        else:
            ray_start.start(self.config.object_store_mb)
        self._ours = True

    def _let_go(self) -> None:
        if self._ours:
            self._ours = False
            with suppress(RayError):
                ray.shutdown()


def _chunks(groups: Iterable[tuple[int, list[Any]]]) -> list[Chunk]:
    return [(number, cloudpickle.dumps(group)) for number, group in groups]


@contextmanager
def _actors() -> Iterator[Callable[..., Any]]:
    """Starts actors beside this process, which need no CPU of their own, and ends them."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    with ExitStack() as ending:

        def start(kind: type, *args: Any) -> Any:
            actor = ray.remote(num_cpus=0, scheduling_strategy=here)(kind).remote(*args)
            ending.callback(_end, actor)
            return actor

        yield start


def _end(actor: Any) -> None:
    with suppress(Exception):  # it may be dead, and Ray with it
        ray.kill(actor)


def _context() -> Any:
    """Settings of Ray Data for chunks: each is a block, handed on as soon as it is there."""
    with warnings.catch_warnings():
        # Copying a context sets all of its fields, of which some are deprecated: Ray's business.
        warnings.simplefilter("ignore", DeprecationWarning)
        context = DataContext.get_current().copy()
    context.target_max_block_size, context.target_min_block_size = 1, 0
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.data", "ray.data.dataset", "ray._private.authentication"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return context
