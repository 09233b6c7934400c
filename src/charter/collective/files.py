"""What the stage leaves behind: the result, the draft, and the page to read.

OUT/
├── collect.json    the result, as `--json` prints it
├── draft.yaml      the draft constitution; none if no statement reached the threshold
├── map.csv         where each participant lies on the opinion map
└── report.html     opinion map, consensus, divisive statements, sensitivity
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from charter.collective.conversation import Conversation
from charter.collective.draft import as_yaml, constitution
from charter.collective.page import page
from charter.collective.stage import Outcome
from charter.errors import StoreError, boundary
from charter.store import write_atomic

RESULT, DRAFT, MAP, REPORT = "collect.json", "draft.yaml", "map.csv", "report.html"


def write(outcome: Outcome, conversation: Conversation, out: Path) -> dict[str, str]:
    """Write all files. The same votes and choices give the same bytes.

    Returns:
        paths by kind: `result`, `map`, `report`, and `draft` if there is one.

    Raises:
        StoreError: the folder cannot be written.
    """
    with boundary(StoreError, f"making folder {str(out)!r}", catch=(OSError,)):
        out.mkdir(parents=True, exist_ok=True)
        # A draft of earlier votes beside a new result would be taken for its own.
        (out / DRAFT).unlink(missing_ok=True)
    collected = outcome.collected
    paths = {"result": out / RESULT, "map": out / MAP, "report": out / REPORT}
    write_atomic(paths["result"], msgspec.json.format(msgspec.json.encode(collected)) + b"\n")
    write_atomic(paths["map"], _map(outcome).encode())
    write_atomic(paths["report"], page(outcome, conversation).encode())
    document = constitution(collected)
    if document is not None:
        paths["draft"] = out / DRAFT
        write_atomic(paths["draft"], as_yaml(document, collected).encode())
    return {kind: str(path) for kind, path in paths.items()}


def _map(outcome: Outcome) -> str:
    columns = (outcome.participants, outcome.grouping.labels + 1, *outcome.plane.points.T)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    lines = (f"{person},{group},{x:.6f},{y:.6f}\n" for person, group, x, y in rows)
    return "participant,group,x,y\n" + "".join(lines)
