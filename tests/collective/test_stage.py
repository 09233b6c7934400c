from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from charter.collective.conversation import Conversation, read_folder
from charter.collective.stage import CollectConfig, run
from charter.collective.votes import Cells, VoteMatrix
from charter.errors import DataError

Make = Callable[..., Any]


@pytest.mark.parametrize("groups", [2, 3])
def test_a_planted_electorate_is_recovered(electorate: Make, groups: int) -> None:
    planted = electorate(groups=groups, people=900)
    outcome = run(planted.conversation, CollectConfig())
    found = outcome.collected
    assert adjusted_rand_score(planted.group, outcome.grouping.labels) >= 0.95
    assert found.groups == tuple(np.bincount(planted.group))
    first = [statement.id for statement in found.statements[: planted.consensus]]
    assert sorted(first) == list(range(planted.consensus))
    assert sorted(found.selected) == list(range(planted.consensus))
    assert planted.divisive in found.divisive
    assert not set(found.divisive) & set(first)


def test_every_real_conversation_runs(polis: Path) -> None:
    found = run(read_folder(polis), CollectConfig()).collected
    assert sum(found.groups) == found.grouped <= found.participants
    assert 2 <= len(found.groups) <= 5
    assert found.votes_counted <= found.votes
    assert sum(v.seen for s in found.statements for v in s.by_group) == found.votes_counted
    assert all(s.gac_low <= s.gac <= s.gac_high for s in found.statements)
    assert found.selected == tuple(s.id for s in found.statements if s.gac >= 0.723)
    assert {row.k for row in found.sensitivity.k} == {2, 3, 4, 5}


def test_same_seed_same_result(electorate: Make) -> None:
    conversation = electorate().conversation
    one, two = (run(conversation, CollectConfig(seed=4)).collected for _ in range(2))
    assert msgspec.json.encode(one) == msgspec.json.encode(two)


def test_the_number_of_groups_can_be_asked_for(electorate: Make) -> None:
    found = run(electorate(groups=3).conversation, CollectConfig(groups=4)).collected
    assert len(found.groups) == 4
    whole = run(electorate(groups=3).conversation, CollectConfig(groups=1)).collected
    assert whole.groups == (400,)
    assert whole.statements[0].by_group[0].seen == whole.statements[0].by_group[0].rate.n


def test_sensitivity_tells_how_much_hangs_on_a_choice(electorate: Make) -> None:
    found = run(electorate(groups=3).conversation, CollectConfig()).collected
    counts = [row.selected for row in found.sensitivity.threshold]
    assert counts == sorted(counts, reverse=True)
    at = {row.threshold: row.selected for row in found.sensitivity.threshold}
    assert at[0.723] == len(found.selected)
    assert [row.adjusted_rand for row in found.sensitivity.seed] == [1.0] * 5
    assert {row.shared for row in found.sensitivity.seed} == {len(found.selected)}
    here = next(row for row in found.sensitivity.k if row.k == 3)
    assert (here.selected, here.shared) == (len(found.selected), len(found.selected))
    assert here.equal_bar == pytest.approx(0.723)
    two = next(row for row in found.sensitivity.k if row.k == 2)
    assert two.equal_bar == pytest.approx(0.723 ** (2 / 3))


def test_another_seed_is_another_table_but_the_groups_hold(electorate: Make) -> None:
    conversation = electorate().conversation
    one, two = (run(conversation, CollectConfig(seed=s)) for s in (1, 2))
    seeds = [[row.seed for row in o.collected.sensitivity.seed] for o in (one, two)]
    assert seeds[0] != seeds[1]
    assert adjusted_rand_score(one.grouping.labels, two.grouping.labels) == 1.0


def test_no_statement_at_the_threshold_is_said_with_a_way_out(electorate: Make) -> None:
    found = run(electorate().conversation, CollectConfig(threshold=1.0)).collected
    assert found.selected == ()
    [note] = found.notes
    assert "No statement reaches 1" in note
    proposed = float(note.partition("a threshold of ")[2].split()[0])
    again = run(electorate().conversation, CollectConfig(threshold=proposed)).collected
    assert len(again.selected) == 10


def test_reversed_signs_are_noted(electorate: Make) -> None:
    conversation = replace(electorate().conversation, signs_reversed=True)
    assert "opposite" in run(conversation, CollectConfig()).collected.notes[0]


def _alike(people: int, statements: int) -> Conversation:
    person, place = (a.ravel() for a in np.indices((people, statements)))
    matrix = VoteMatrix.of(Cells(person, place, np.ones(person.size, dtype=np.int8)))
    texts = tuple(str(i) for i in range(statements))
    return Conversation("alike", "alike", matrix, texts, {})


def test_people_who_agree_on_everything_are_one_group() -> None:
    found = run(_alike(40, 8), CollectConfig()).collected
    assert found.groups == (40,)
    assert found.silhouette is None
    assert len(found.selected) == 8
    assert "one group" in found.notes[0]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (CollectConfig(threshold=0.0), "threshold 0.0"),
        (CollectConfig(threshold=float("nan")), "threshold nan"),
        (CollectConfig(groups=6), "6 groups"),
        (CollectConfig(groups=3), "at most 1: so many of them differ"),
    ],
)
def test_choices_that_make_no_sense(config: CollectConfig, message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(_alike(20, 8), config)


def test_the_digest_follows_the_votes(electorate: Make) -> None:
    one, two = electorate().conversation, electorate(seed=1).conversation
    digests = [run(c, CollectConfig()).collected.digest for c in (one, one, two)]
    assert digests[0] == digests[1] != digests[2]
