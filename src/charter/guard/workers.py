"""Several server processes behind one port: started, watched, started again, ended together.

Owns the sockets, the processes and the folder that their metrics share. Each worker is a whole
server that knows nothing of the others; what they have in common is on disk (the audit log) or in
those metrics. The parent holds the port and accepts no connection.

Each worker has a socket of its own on the same port (SO_REUSEPORT), and the system deals new
connections out among them. One shared socket would not do: a worker that wakes up takes all that
wait there, however busy it is. A socket listens from when its worker is ready to when that one
ends, so nobody waits for a worker that is being started again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from threading import Thread
from typing import TYPE_CHECKING

from prometheus_client.multiprocess import mark_process_dead

from charter.errors import CharterError, InputError, WorkError
from charter.guard import serving
from charter.guard.metrics import SHARED

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from charter.guard.proxy import Proxy

_LOG = logging.getLogger("charter.guard")
_SPAWN = get_context("spawn")
"""Not fork: a process that has threads, as torch makes them, must not be copied."""
_STEADY_S, _FIRST_WAIT_S, _LONGEST_WAIT_S = 30.0, 0.5, 30.0
"""A worker that lived that long is started again soon; one that keeps falling, less and less so."""
_MARGIN_S = 10.0
"""Beyond the time to drain, before a worker that does not end is killed."""


class Worker:
    """One server process, and how it has fared.

    Args:
        build: makes the server, in the worker; it goes there by reference.
        bound: makes the socket that the next process listens on.
        drain_seconds: time that answers under way have left at the end.
    """

    def __init__(
        self,
        build: Callable[[], Proxy],
        bound: Callable[[], socket.socket],
        drain_seconds: int,
    ) -> None:
        self._build, self._bound, self._drain = build, bound, drain_seconds
        self.process: SpawnProcess | None = None
        self.report: Connection | None = None
        self.starts_at, self._falls, self._since = 0.0, 0, 0.0

    def start(self) -> None:
        """Start the process; its first word comes through `report`."""
        self.report, theirs = _SPAWN.Pipe(duplex=False)
        with self._bound() as listener, theirs:
            arguments = (self._build, listener, self._drain, theirs)
            self.process = _SPAWN.Process(target=_work, args=arguments, name="guard worker")
            self.process.start()
        self._since = time.monotonic()

    def heard(self) -> str:
        """The classifier that the worker serves with, once it is ready.

        Raises:
            CharterError: it could not be made.
        """
        assert self.report is not None and self.process is not None
        try:
            kind, said = self.report.recv()
        except EOFError:
            self.process.join()
            said = f"a worker ended before it was ready (exit code {self.process.exitcode})"
            kind = "failed"
        self.report.close()
        self.report = None
        if kind == "ready":
            return str(said)
        raise InputError(said) if kind == "input" else WorkError(said)

    def buried(self) -> str:
        """Take note that the process has ended, and when the next one is to start."""
        assert self.process is not None
        self.process.join(1.0)  # its end may be known a moment before its exit code
        now, code = time.monotonic(), self.process.exitcode
        mark_process_dead(self.process.pid, os.environ[SHARED])  # type: ignore[no-untyped-call]
        self._falls = 0 if now - self._since > _STEADY_S else self._falls + 1
        wait = min(_FIRST_WAIT_S * 2.0 ** min(self._falls, 10), _LONGEST_WAIT_S)
        self.process, self.starts_at = None, now + wait
        return f"a worker ended (exit code {code}); the next one starts in {wait:g} s"

    def end(self, deadline: float) -> None:
        """Wait until the process has ended; kill it at the deadline (monotonic seconds)."""
        if self.process is None:
            return
        self.process.join(max(0.0, deadline - time.monotonic()))
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


def serve(
    build: Callable[[], Proxy],
    host: str,
    port: int,
    *,
    workers: int,
    announce: Callable[[str], None],
    drain_seconds: int = 60,
) -> None:
    """Serve until SIGINT or SIGTERM; then let every worker finish what is under way, and return.

    Args:
        build: makes the server, in each worker; a function of a module, or a `partial` of one.
        host: address to listen on.
        port: port to listen on.
        workers: how many.
        announce: told the classifier's identity once all workers are ready.
        drain_seconds: time that answers under way have left; after it they are cut off.

    Raises:
        CharterError: the port cannot be listened on, or a worker could not be made at the start.
    """
    with _shared_metrics(), _stopping() as stop, _held(host, port):
        crew = [
            Worker(build, partial(_bound, host, port, shared=True), drain_seconds)
            for _ in range(workers)
        ]
        try:
            for worker in crew:
                worker.start()
            if identity := _all_ready(crew, stop):
                announce(identity)
                _watch(crew, stop)
        finally:
            _end(crew, drain_seconds)


def _all_ready(crew: list[Worker], stop: int) -> str:
    """The identity that all serve with; "" if told to stop before."""
    identity = ""
    for worker in crew:
        assert worker.report is not None
        if stop in connection.wait([worker.report, stop]):
            return ""
        identity = worker.heard()
    return identity


def _watch(crew: list[Worker], stop: int) -> None:
    """Start workers again that end, until told to stop."""
    while True:
        due = [w.starts_at for w in crew if w.process is None]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        alive = {w.process.sentinel: w for w in crew if w.process is not None}
        spoken = {w.report: w for w in crew if w.report is not None}
        events = connection.wait([stop, *alive, *spoken], timeout)
        if stop in events:
            return
        for worker in [w for report, w in spoken.items() if report in events]:
            with contextlib.suppress(CharterError):  # it ends as well, which is seen below
                worker.heard()
        for worker in [w for sentinel, w in alive.items() if sentinel in events]:
            _LOG.warning(worker.buried())
        for worker in crew:
            if worker.process is None and worker.starts_at <= time.monotonic():
                worker.start()


def _end(crew: list[Worker], drain_seconds: int) -> None:
    for worker in crew:
        if worker.process is not None:
            worker.process.terminate()
    deadline = time.monotonic() + drain_seconds + _MARGIN_S
    for worker in crew:
        worker.end(deadline)


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """A folder where the workers count together, named in the environment that they inherit."""
    with tempfile.TemporaryDirectory(prefix="charter-guard-") as folder:
        os.environ[SHARED] = folder
        try:
            yield
        finally:
            del os.environ[SHARED]


@contextlib.contextmanager
def _stopping() -> Iterator[int]:
    """A file descriptor that can be read once SIGINT or SIGTERM has come."""
    reading, writing = os.pipe()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {s: signal.signal(s, lambda *_: os.write(writing, b"x") and None) for s in signals}
    try:
        yield reading
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


@contextlib.contextmanager
def _held(host: str, port: int) -> Iterator[None]:
    """Keep the port, also while no worker listens on it.

    Raises:
        WorkError: the port cannot be had.
    """
    try:
        # Alone first: sharing would also join a stranger's port without a word.
        _bound(host, port, shared=False).close()
        holder = _bound(host, port, shared=True)
    except OSError as error:
        raise WorkError(f"cannot listen on {host}:{port}") from error
    with holder:
        yield


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _work(
    build: Callable[[], Proxy], listener: socket.socket, drain_seconds: int, report: Connection
) -> None:
    """What a worker does, from its first moment to its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and sends SIGTERM
    Thread(target=_follow_parent, daemon=True).start()
    try:
        proxy = build()
    except CharterError as error:
        report.send(("input" if isinstance(error, InputError) else "failed", str(error)))
        raise SystemExit(error.exit_code) from error
    listener.listen(serving.BACKLOG)  # so that the port is open when we say so
    report.send(("ready", proxy.parts.classifier.identity))
    report.close()
    host, port = listener.getsockname()[:2]
    serving.serve(proxy.app(), host, port, drain_seconds=drain_seconds, listener=listener)


def _follow_parent() -> None:
    """End in good order when the parent is gone, however it went."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
