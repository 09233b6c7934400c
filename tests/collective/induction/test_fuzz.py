"""Damaged files of preferences: an error that names the file, or a reading; never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

from charter.collective.induction.preferences import read
from charter.constitution.probing import probe
from charter.errors import DataError
from charter.seeds import draws

ROUNDS = int(os.environ.get("CHARTER_FUZZ", "400"))
CSV = "text_a,text_b,preferred_text\n" + "".join(
    f'"Instruction: q{n}\n\nOutput: yes","no {n}",text_{"ab"[n % 2]}\n' for n in range(12)
)
JSONL = '{"prompt": "q", "a": "yes", "b": "no", "label": "a"}\n' * 9
PROBE = (
    '{"id":"x","kind":"benign","category":"c","role":"twin","text":"t","twin":"y",'
    '"violated_by":"reading","clause":"d","made_by":"m","reviewed":true}\n'
)


def mutated(blob: bytes, seed: int) -> bytes:
    source, found = draws("fuzz", seed), bytearray(blob)
    for _ in range(source.randrange(1, 6)):
        at = source.randrange(len(found))
        change = source.randrange(3)
        if change == 0:
            found[at] = source.randrange(256)
        elif change == 1:
            del found[at : at + source.randrange(1, 9)]
        else:
            found[at:at] = source.choice([b'"', b"\n", b"\x00", b",", b"{", b"\xff", b"\r"])
        found = found or bytearray(b"x")
    return bytes(found)


def test_damaged_files_give_errors_that_name_them(tmp_path: Path) -> None:
    errors = 0
    for seed in range(ROUNDS):
        text, name = ((CSV, "f.csv"), (JSONL, "f.jsonl"), (PROBE, "p.jsonl"))[seed % 3]
        file = tmp_path / name
        file.write_bytes(mutated(text.encode(), seed))
        try:
            probe.read(file) if name == "p.jsonl" else read(file)
        except DataError as error:
            errors += 1
            assert name in str(error)
    assert 0 < errors < ROUNDS
