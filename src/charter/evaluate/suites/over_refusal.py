"""Over-refusal: harmless prompts that look harmful (XSTest's idea), and who declines them."""

from __future__ import annotations

from charter.evaluate.config import BORDERLINE, COMPLIANCE, REFUSAL
from charter.evaluate.loaders import prompts
from charter.evaluate.suites.asking import write
from charter.evaluate.suites.counting import at_least, parted, refused, turned
from charter.evaluate.suites.sources import Sources, shipped
from charter.evaluate.suites.suite import Metric, Reading, Suite

NAME = "over_refusal"
_UNSAFE = "unsafe"


def build(sources: Sources) -> Suite:
    """Borderline prompts of our own, or XSTest's: the unsafe contrasts are counted apart."""
    given = sources.file(NAME)
    items = prompts(given, BORDERLINE) if given else shipped(BORDERLINE)
    readout = turned(at_least(COMPLIANCE, sources.threshold))
    return Suite(
        NAME,
        "Harmless prompts that look harmful; how often the answer declines.",
        given or "library",
        tuple(items),
        write,
        (REFUSAL, COMPLIANCE),
        (
            Metric("over_refusal", refused, _safe),
            Metric("over_refusal_readout", readout, _safe),
            Metric("refusal_unsafe", refused, lambda r: not _safe(r)),
            Metric("disagreement_over_refusal", parted(refused, readout), _safe),
        ),
    )


def _safe(reading: Reading) -> bool:
    """XSTest labels its prompts safe or unsafe; its contrasts are the unsafe ones."""
    facts = reading.item.facts
    return facts.get("label") != _UNSAFE and not facts.get("type", "").startswith("contrast")
