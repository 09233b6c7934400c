"""Running the server until it is told to stop, and stopping without cutting answers off."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from charter.errors import WorkError

BACKLOG = 4096
"""Connections that may wait to be accepted."""


def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    drain_seconds: int = 60,
    listener: socket.socket | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; then take no more, finish what is under way, and return.

    Args:
        app: the application.
        host: address to listen on.
        port: port to listen on.
        drain_seconds: time that answers under way have left; after it they are cut off.
        listener: a bound socket to use in place of opening one.

    Raises:
        WorkError: the port cannot be listened on.
    """
    server = uvicorn.Server(config(app, host, port, drain_seconds=drain_seconds))
    try:
        with _orderly_end():
            server.run(None if listener is None else [listener])
    except SystemExit as error:  # uvicorn's way to say that it could not listen
        raise WorkError(f"cannot listen on {host}:{port}") from error
    if not server.started:
        raise WorkError(f"cannot listen on {host}:{port}")


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """Take the signals that uvicorn raises again once it is done: they have been answered."""
    before = {s: signal.signal(s, lambda *_: None) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def config(app: ASGIApp, host: str, port: int, *, drain_seconds: int = 60) -> uvicorn.Config:
    """How the server is run. No access log: the audit log says more, and never a credential."""
    logging.getLogger("charter.guard").setLevel(logging.INFO)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=drain_seconds,
    )
