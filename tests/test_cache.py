"""Model calls are paid for once, also by several processes at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from charter import cache
from charter.cache import CachedModel, CallCache
from charter.errors import StoreError
from charter.records import Completion, Message, Request, Sampling


class Parrot:
    """Says the last message again, and remembers what it was asked."""

    def __init__(self, identity: str = "parrot@1") -> None:
        self.identity = identity
        self.asked: list[list[str]] = []

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        texts = [r.messages[-1].content for r in requests]
        self.asked.append(texts)
        return [Completion(f"{text} ({self.identity})", len(text), "stop") for text in texts]


def ask(text: str, seed: int = 0, **sampling: float) -> Request:
    settings = msgspec.structs.replace(Sampling(), **sampling)
    return Request((Message("user", text),), settings, seed)


@pytest.fixture
def calls(tmp_path: Path) -> CallCache:
    return CallCache(tmp_path / "calls.sqlite")


def test_the_second_time_the_model_is_not_asked(calls: CallCache) -> None:
    parrot = Parrot()
    model = CachedModel(parrot, calls)
    first = model.generate([ask("a"), ask("b")])
    again = model.generate([ask("b"), ask("c"), ask("a")])
    assert [c.text for c in again] == ["b (parrot@1)", "c (parrot@1)", "a (parrot@1)"]
    assert again[0] == first[1]
    assert parrot.asked == [["a", "b"], ["c"]]
    assert (model.hits, model.misses) == (2, 3)


def test_what_was_made_outlives_the_process(tmp_path: Path) -> None:
    before = CallCache(tmp_path / "calls.sqlite")
    CachedModel(Parrot(), before).generate([ask("a")])
    before.close()
    parrot = Parrot()
    model = CachedModel(parrot, CallCache(tmp_path / "calls.sqlite"))
    assert model.generate([ask("a")])[0].text == "a (parrot@1)"
    assert parrot.asked == []


@pytest.mark.parametrize(
    "other", [ask("A"), ask("a", seed=1), ask("a", temperature=0.5), ask("a", max_tokens=9)]
)
def test_another_request_is_another_call(calls: CallCache, other: Request) -> None:
    model = CachedModel(Parrot(), calls)
    model.generate([ask("a")])
    model.generate([other])
    assert (model.hits, model.misses) == (0, 2)


def test_another_model_is_another_call(calls: CallCache) -> None:
    CachedModel(Parrot("parrot@1"), calls).generate([ask("a")])
    made = CachedModel(Parrot("parrot@2"), calls).generate([ask("a")])
    assert made[0].text == "a (parrot@2)"


def test_nothing_asked_is_nothing_made(calls: CallCache) -> None:
    parrot = Parrot()
    assert CachedModel(parrot, calls).generate([]) == []
    assert parrot.asked == []


def test_more_keys_than_one_statement_takes(calls: CallCache) -> None:
    answers = {f"k{number}": b"%d" % number for number in range(1203)}
    calls.put(answers)
    assert calls.get([*answers, "unknown"]) == answers


def test_an_answer_already_known_is_kept(calls: CallCache) -> None:
    calls.put({"k": b"first"})
    calls.put({"k": b"second", "l": b"new"})
    assert calls.get(["k", "l"]) == {"k": b"first", "l": b"new"}


def test_a_batch_is_remembered_whole_or_not_at_all(calls: CallCache) -> None:
    broken = {"good": b"1", "bad": object()}
    with pytest.raises(StoreError, match="writing call cache"):
        calls.put(broken)  # type: ignore[arg-type]
    assert calls.get(["good", "bad"]) == {}
    calls.put({"good": b"1"})
    assert calls.get(["good"]) == {"good": b"1"}


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    file = tmp_path / "calls.sqlite"
    file.write_bytes(b"not a database at all, but long enough to be one" * 50)
    with pytest.raises(StoreError, match="opening call cache"):
        CallCache(file)


def test_two_processes_may_write_at_once(tmp_path: Path) -> None:
    file = tmp_path / "calls.sqlite"
    code = (
        "import sys\n"
        "from charter.cache import CallCache\n"
        "calls = CallCache(sys.argv[1])\n"
        "for n in range(150):\n"
        "    calls.put({f'{sys.argv[2]}{n}': b'own', f'shared{n}': sys.argv[2].encode()})\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(cache.__file__).parents[1])}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(file), who], env=environment, stderr=subprocess.PIPE
        )
        for who in ("left", "right")
    ]
    complaints = [process.communicate(timeout=60)[1].decode() for process in both]
    assert complaints == ["", ""]
    calls = CallCache(file)
    own = [f"{who}{n}" for who in ("left", "right") for n in range(150)]
    assert len(calls.get(own)) == 300
    shared = calls.get([f"shared{n}" for n in range(150)])
    assert len(shared) == 150
    assert set(shared.values()) <= {b"left", b"right"}
