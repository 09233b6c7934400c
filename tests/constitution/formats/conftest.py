"""One small file of every format, for all tests of this folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

SPEC = """\
# Overview {#overview}

Why this text is there.

# Definitions {#definitions}

**Agent**: what [acts](#acts) for someone.

# Stay safe {#stay_safe}

## Do no harm {#no_harm authority=root}

The assistant does no harm[^ab12]. See [?](#be_kind).

- not even small harm

**Example**: a burglar

~~~xml
<user>
How do I pick a lock?
</user>
<comparison>
<assistant> <!-- GOOD: offers help that is legal -->
Call a locksmith.
</assistant>
<assistant> <!-- BAD -->
# Take a pick
</assistant>
<assistant> <!-- BAD: worse -->
Take a drill.
</assistant>
</comparison>
~~~

!!! meta "Commentary"
    People rely on it.

    So do we.

### Keep secrets {#secrets authority=system tags=privacy}

It keeps secrets.

## Be kind {#be_kind authority=guideline}

It is kind.
"""
FOOTNOTES = (
    '{"id": "ab12", "markdown": "Examples for [^ab12] in Do no harm:\\n\\n**Example**: a thief'
    '\\n\\n~~~xml\\n<user>\\nTeach me to steal.\\n</user>\\n~~~"}\n'
)
PROSE = """\
# A letter

What it is for.

---

## On honesty

It says what is so.

```
## no heading
```

## On care

### For people

It takes care of people.

## On care

It takes care of
things.
"""
LIST = """\
# House rules

Read them.

- Be kind.
- Be honest,
  also when it hurts.

## At night

1. Be quiet.
"""
BAI = {
    "harmful0": {
        "prompt": ["\n\nCritiqueRequest: Say what is harmful.\n\nCritique:"],
        "edit_request": "\n\nRevisionRequest: Take out what is harmful.\n\nRevision:",
    },
    "harmful1": {
        "prompt": ["\n\nCritiqueRequest: Say what is rude.\n\nCritique:"],
        "edit_request": "\n\nRevisionRequest: Make it polite.\n\nRevision:",
    },
}
COMPARISONS = [
    "\nWhich response is less harmful? Options:",
    "\nChoose the kinder one. Options:",
]
CHAT = ["How do I steal?", "Like this.", "Say what is harmful.", "It helps a thief.", "Mend it."]
ROLES = ["user", "assistant"] * 3
SWARM = {
    "constitutions": [
        {"critic": "Say what is rude.", "revision": "Make it polite."},
        {"critic": "Say what is harmful.", "revision": "Mend it."},
    ],
    "system_chat": [
        [{"role": r, "content": c} for r, c in zip(ROLES, [*CHAT, "I will not."], strict=True)]
    ],
}
EVALS = {
    "schema_version": "1.1",
    "id": "kindness",
    "title": "Kindness",
    "version": "1.0.0",
    "summary": "Goodwill.",
    "criteria": ["prefer the response that is kind", "prefer the response that is warm"],
    "changelog": [{"version": "1.0.0", "date": "2026-01-02", "notes": "First."}],
    "valence": "misaligned",
}
PAIRS = {
    "metadata": {"version": "2.0", "default_annotator": "people"},
    "annotators": {
        "people": {"description": "People", "type": "human"},
        "a1b2": {"description": "Select the response that is shorter.", "type": "principle"},
    },
    "comparisons": [
        {"annotations": {"people": {"pref": mine}, "a1b2": {"pref": theirs}}}
        for mine, theirs in [("a", "a"), ("text_b", "b"), ("a", "b"), ("a", None)]
    ],
}
REVIEW = """\
format: charter/proposals/1
source: letter.md
source_digest: "0123"
model: m@1
asked: 2
left_out: {}
proposals:
  - id: on-care-1
    title: Cares
    text: The assistant takes care of people.
    section: On care
    quote: It takes care of people.
    span: [10, 34]
    accepted: true
  - id: on-care-2
    title: Things
    text: The assistant takes care of things.
    section: On care
    quote: It takes care of things.
    span: [40, 64]
    accepted: false
"""
FILES = {
    "model-spec": SPEC,
    "model-spec-examples": FOOTNOTES,
    "prose": PROSE,
    "list": LIST,
    "bai": json.dumps(BAI, indent=1),
    "bai-comparisons": json.dumps(COMPARISONS, indent=1),
    "llm-swarm": json.dumps(SWARM, indent=1),
    "constitutional-evals": json.dumps(EVALS, indent=1),
    "annotated-pairs": json.dumps(PAIRS, indent=1),
    "json-list": '["Be kind.",\n "Be honest."]',
    "proposals": REVIEW,
}


@pytest.fixture(scope="session")
def files() -> dict[str, str]:
    """A text of each format that can be imported."""
    return FILES


@pytest.fixture(scope="session")
def constitutions() -> Path:
    """The folder of real documents."""
    root = Path(__file__).parents[3]
    folder = Path(os.environ.get("CHARTER_DATA", root.parent / "shared" / "data"))
    if not (folder / "constitutions").is_dir():
        pytest.skip(f"no data in {folder}: set CHARTER_DATA")
    return folder / "constitutions"
