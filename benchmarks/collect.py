"""`charter collect` on a synthetic electorate with planted groups and a planted consensus.

    python benchmarks/collect.py [--json] [--votes 10000000] [--participants 100000]
                                 [--statements 1000] [--groups 3] [--wide] [--keep DIR]

Writes a vote file (a log; with --wide a table of participants), runs the command on it as a
process of its own, and reports its wall and processor time, its peak memory, and what it found
again: adjusted Rand with the planted groups, and whether the planted statements rank first. A
tenth of the log are votes that are changed later, so that "the last vote counts" is work as well.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from sklearn.metrics import adjusted_rand_score

CONSENSUS = 20
"""Statements that 94 % of those of every group agree with (97 % of those who do not pass)."""


def electorate(
    votes: int, participants: int, statements: int, groups: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Participant, statement and vote of every cell, and the group of every participant."""
    draw = np.random.default_rng(seed)
    group = draw.integers(groups, size=participants)
    agree = draw.beta(0.6, 0.6, size=(groups, statements))
    # No group of statements should be a consensus by accident.
    agree[draw.integers(groups, size=statements), np.arange(statements)] = 0.3
    agree[:, :CONSENSUS] = 0.97
    each = votes // participants
    offset = draw.integers(statements, size=participants)
    stride = 1 + 2 * draw.integers(statements // 2, size=participants)
    stride[np.gcd(stride, statements) > 1] = 1
    place = (offset[:, None] + stride[:, None] * np.arange(each)) % statements
    person = np.repeat(np.arange(participants), each)
    place = place.ravel()
    chance = draw.random(person.size)
    yes = agree[group[person], place]
    vote = np.where(chance < 0.97 * yes, 1, np.where(chance < 0.97, -1, 0)).astype(np.int8)
    return person, place, vote, group


def write_log(folder: Path, person: np.ndarray, place: np.ndarray, vote: np.ndarray) -> int:
    """`votes.csv` in random order, a tenth of the votes twice: first reversed, then as meant."""
    draw = np.random.default_rng(1)
    first = draw.random(person.size) < 0.1
    when = np.concatenate([np.full(first.sum(), 1), np.full(person.size, 2)])
    table = {
        "timestamp": when + 1_500_000_000_000,
        "comment-id": np.concatenate([place[first], place]),
        "voter-id": np.concatenate([person[first], person]),
        "vote": np.concatenate([-vote[first], vote]),
    }
    order = draw.permutation(when.size)
    arrow_csv.write_csv(
        pa.table({name: column[order] for name, column in table.items()}), folder / "votes.csv"
    )
    return int(when.size)


def write_wide(folder: Path, person: np.ndarray, place: np.ndarray, vote: np.ndarray) -> int:
    """`participants-votes.csv`."""
    text = np.array(["-1", "0", "1"], dtype=object)
    width = int(place.max()) + 1
    starts = np.searchsorted(person, np.arange(person[-1] + 2))
    with (folder / "participants-votes.csv").open("w") as stream:
        stream.write("participant," + ",".join(map(str, range(width))) + "\n")
        for number, (start, stop) in enumerate(itertools.pairwise(starts)):
            row = np.full(width, "", dtype=object)
            row[place[start:stop]] = text[vote[start:stop] + 1]
            stream.write(f"{number}," + ",".join(row.tolist()) + "\n")
    return int(person.size)


def run(folder: Path) -> tuple[dict, dict[str, float]]:
    """The command's result, and what it took."""
    command = [sys.executable, "-m", "charter.cli.main", "collect", str(folder), "--json"]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--out", str(folder / "out")], capture_output=True, text=True, check=True
    )
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return json.loads(done.stdout), {
        "seconds": round(seconds, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_gb": round(used.ru_maxrss / 1024**2, 2),
    }


def recovered(folder: Path, group: np.ndarray) -> float:
    """Adjusted Rand of the groups found with those planted."""
    with (folder / "out" / "map.csv").open() as stream:
        rows = [(int(row["participant"]), int(row["group"])) for row in csv.DictReader(stream)]
    return float(adjusted_rand_score([group[person] for person, _ in rows], [g for _, g in rows]))


def measure(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    person, place, vote, group = electorate(
        args.votes, args.participants, args.statements, args.groups, args.seed
    )
    texts = "".join(f"{i},1,Statement {i}\n" for i in range(args.statements))
    (folder / "comments.csv").write_text("comment-id,moderated,comment-body\n" + texts)
    events = (write_wide if args.wide else write_log)(folder, person, place, vote)
    found, taken = run(folder)
    first = {statement["id"] for statement in found["statements"][:CONSENSUS]}
    return {
        "votes": int(person.size),
        "lines": events,
        "participants": args.participants,
        "statements": args.statements,
        **taken,
        "groups": found["groups"],
        "adjusted_rand": round(recovered(folder, group), 4),
        "planted_first": first == set(range(CONSENSUS)),
        "selected": len(found["selected"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--votes", type=int, default=10_000_000)
    parser.add_argument("--participants", type=int, default=100_000)
    parser.add_argument("--statements", type=int, default=1_000)
    parser.add_argument("--groups", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wide", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = measure(args, folder)
    if args.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name:>14}  {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
