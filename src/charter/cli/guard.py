"""`charter guard …`: the guard in front of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from charter.cli import guard_model
from charter.cli.guard_redteam import redteam
from charter.cli.synthesize import synthesize

if TYPE_CHECKING:
    from charter.guard.config import GuardSettings
    from charter.guard.folders import LoadedGuard
    from charter.guard.proxy import Proxy
    from charter.guard.upstream import Upstream


@click.group("guard")
def group() -> None:
    """Classifiers made from the constitution, and the server that runs them."""


group.add_command(synthesize)
group.add_command(redteam)
for command in guard_model.COMMANDS:
    group.add_command(command)


@group.command()
@click.option("--guard", default="default", show_default=True, help="Folder of a guard.")
@click.option("--upstream", metavar="URL", help="Endpoint to guard; ends in /v1.")
@click.option("--model", metavar="NAME", help="Or a model to run here: embedded, a folder, a name.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8790, show_default=True, type=click.IntRange(1, 65535))
@click.option("--mode", type=click.Choice(["enforce", "shadow"]), default="enforce")
@click.option("--on-error", type=click.Choice(["closed", "open"]), default="closed")
@click.option("--refusal", metavar="TEXT", help="What the client reads in place of a blocked text.")
@click.option("--window", type=click.IntRange(1), help="Characters scored at a time.")
@click.option("--prompt-threshold", type=click.FloatRange(0, 1), help="Overrides the guard's own.")
@click.option("--answer-threshold", type=click.FloatRange(0, 1), help="Overrides the guard's own.")
@click.option("--audit", default="runs/guard", show_default=True, help="Folder of the audit log.")
@click.option("--audit-size", default=64, show_default=True, help="Rotate the log at so many MiB.")
@click.option("--log-text", is_flag=True, help="Write texts into the audit log, not only digests.")
@click.option("--max-active", type=click.IntRange(1), help="Exchanges worked on at once.")
@click.option("--max-waiting", type=click.IntRange(0), help="Exchanges that may wait; then 429.")
@click.option("--max-request", type=click.IntRange(1), help="Bytes of a request; then 413.")
@click.option("--timeout", type=click.FloatRange(0.1), help="Longest silence of upstream, seconds.")
@click.option(
    "--drain", default=60, show_default=True, help="Seconds to finish streams at the end."
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Processes behind the one port; each loads the guard, and --model, for itself.",
)
def serve(host: str, port: int, drain: int, workers: int, **options: Any) -> None:
    """Serve an endpoint with a guard before it, in OpenAI's and Anthropic's formats.

    Clients must show the key in CHARTER_GUARD_KEY, if that is set. CHARTER_UPSTREAM_KEY is sent to
    upstream for clients that show no key of their own.
    """
    from functools import partial

    from charter.guard import workers as several
    from charter.guard.serving import serve as run

    if (options["upstream"] is None) == (options["model"] is None):
        raise click.UsageError("give either --upstream URL or --model NAME")

    def announce(identity: str) -> None:
        behind = f", {workers} workers" if workers > 1 else ""
        click.echo(
            f"Guard {identity} ({options['mode']}, {options['on_error']} on errors{behind}) "
            f"at http://{host}:{port}/v1\nAudit: {options['audit']}/audit.jsonl"
        )

    if workers == 1:
        proxy = _proxy(options)
        announce(proxy.parts.classifier.identity)
        run(proxy.app(), host, port, drain_seconds=drain)
    else:
        build = partial(_proxy, options)
        several.serve(build, host, port, workers=workers, announce=announce, drain_seconds=drain)


def _proxy(options: dict[str, Any]) -> Proxy:
    """The server that the command line describes; with several workers, one in each."""
    import os
    from pathlib import Path

    from charter.guard import folders
    from charter.guard.audit import AuditLog
    from charter.guard.proxy import Proxy

    if folders.is_light(options["guard"]):
        loaded = folders.load_as(options["guard"])
    else:  # only now: this imports torch, which takes seconds
        from charter.guard import loading

        loaded = loading.load(options["guard"])
    settings = _settings(loaded, options)
    upstream = _upstream(options["upstream"], options["model"], settings)
    audit = AuditLog(Path(options["audit"]), options["audit_size"] << 20)
    return Proxy(
        loaded.classifier, settings, upstream, audit, os.environ.get("CHARTER_GUARD_KEY", "")
    )


def _settings(loaded: LoadedGuard, options: dict[str, Any]) -> GuardSettings:
    """The guard's own settings, and what the command line says instead."""
    from msgspec.structs import replace

    from charter.guard.config import GuardSettings, Limits

    def given(**values: Any) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value is not None}

    thresholds = replace(
        loaded.thresholds,
        **given(prompt=options["prompt_threshold"], answer=options["answer_threshold"]),
    )
    limits = Limits(
        **given(
            active=options["max_active"],
            waiting=options["max_waiting"],
            request_bytes=options["max_request"],
            idle_seconds=options["timeout"],
        )
    )
    named = given(refusal=options["refusal"], window=options["window"] or loaded.window)
    return GuardSettings(
        mode=options["mode"],
        on_error=options["on_error"],
        log_text=options["log_text"],
        thresholds=thresholds,
        limits=limits,
        **named,
    ).check()


def _upstream(url: str | None, model: str | None, settings: GuardSettings) -> Upstream:
    import os

    from charter.guard.translation import BothDialects
    from charter.guard.upstream import HttpUpstream

    if url is not None:
        key = os.environ.get("CHARTER_UPSTREAM_KEY", "")
        return BothDialects(HttpUpstream(url, settings.limits, key))
    from charter.guard.local_upstream import LocalUpstream
    from charter.models import hf

    assert model is not None
    return BothDialects(LocalUpstream(hf.load(model), model), translate=True)
