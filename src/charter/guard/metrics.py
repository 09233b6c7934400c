"""What the server counts, in Prometheus' terms.

Owns: the metrics of one server, in a registry of their own. No label holds text of a client or of
a model, so their number stays bounded.

A server of several processes (`workers`) sets PROMETHEUS_MULTIPROC_DIR before they start: each
then counts in files there, and every one's page is the sum over all. What a dead worker counted
stays counted.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from charter.guard.audit import AuditRecord

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SHORT = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)
SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The variable, and its name to prometheus_client, that makes the metrics those of all workers."""
_LONG = (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """Counters, gauges and histograms of one server."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        name = "charter_guard_"
        self.exchanges = Counter(
            f"{name}exchanges",
            "Exchanges by what the guard did.",
            ("dialect", "state"),
            registry=own,
        )
        self.verdicts = Counter(
            f"{name}verdicts", "Verdicts, also in shadow mode.", ("action", "stage"), registry=own
        )
        self.clauses = Counter(
            f"{name}blocked_clauses",
            "Blocks by clause of the constitution.",
            ("clause",),
            registry=own,
        )
        self.faults = Counter(f"{name}faults", "Exchanges that failed.", ("kind",), registry=own)
        self.active = Gauge(
            f"{name}active",
            "Exchanges being worked on.",
            registry=own,
            multiprocess_mode="livesum",
        )
        self.waiting = Gauge(
            f"{name}waiting",
            "Exchanges that wait for a turn.",
            registry=own,
            multiprocess_mode="livesum",
        )
        self.unchecked = Gauge(
            f"{name}longest_unchecked_run_chars",
            "Longest run of characters ever released unchecked.",
            registry=own,
            multiprocess_mode="max",
        )
        self.audit_failures = Counter(
            f"{name}audit_failures", "Audit records that could not be written.", registry=own
        )
        self.scoring = Histogram(
            f"{name}scoring_seconds", "Time of one scoring step.", registry=own, buckets=_SHORT
        )
        self.first_byte = Histogram(
            f"{name}first_byte_seconds", "Time to the first byte.", registry=own, buckets=_LONG
        )
        self._longest = 0

    def busy(self, active: int, waiting: int) -> None:
        """How many exchanges this process works on now, and how many wait."""
        self.active.set(active)
        self.waiting.set(waiting)

    def count(self, record: AuditRecord, *, written: bool) -> None:
        """Count one finished exchange."""
        self.exchanges.labels(record.dialect, record.state).inc()
        if record.action is not None and record.stage is not None:
            self.verdicts.labels(record.action, record.stage).inc()
        for clause in record.clauses if record.action == "block" else ():
            self.clauses.labels(clause).inc()
        if record.outcome not in ("ok", "client_gone"):
            self.faults.labels(record.outcome).inc()
        if record.first_byte_seconds is not None:
            self.first_byte.observe(record.first_byte_seconds)
        self._longest = max(self._longest, record.unchecked_run)
        self.unchecked.set(self._longest)
        if not written:
            self.audit_failures.inc()

    def page(self) -> bytes:
        """The text that Prometheus reads: of this process, or of all workers together."""
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)
