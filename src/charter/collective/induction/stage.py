"""The stage: preferences in, tested principles out. Every choice is a field of `InduceConfig`.

Propose on training pairs, put alike candidates together, let the judge vote, choose a short list,
and measure it on pairs that had no part in any of that (after Inverse Constitutional AI, Findeis
et al. 2024, arXiv 2406.06560, §3). Owns the order of the steps. Writes nothing: `draft` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from charter.collective.induction import mining, result
from charter.collective.induction.ballots import Ballots, ask
from charter.collective.induction.candidates import Candidate
from charter.collective.induction.clustering import clustered
from charter.collective.induction.config import InduceConfig
from charter.collective.induction.evidence import Tally, tally
from charter.collective.induction.preferences import Preferences, divided, shared_questions
from charter.collective.induction.proposing import propose
from charter.collective.induction.result import Evidence, Induced, Proposals
from charter.collective.induction.scripted import ScriptedJudge
from charter.collective.induction.selection import COSTS, choose, decided, verdicts
from charter.engine.local import Progress, silent
from charter.records import Comparison, Judge, Model
from charter.statistics import Rate, wilson

RULES = "rules"
JudgeFor = Callable[[Sequence[Candidate]], Judge]
"""Makes a judge that knows these candidates by id."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result, with its principles' votes [K, N] on all pairs, in the order of the input."""

    induced: Induced
    ballots: Ballots


@dataclass(frozen=True, slots=True)
class _Proposal:
    candidates: list[Candidate]
    p_family: dict[str, float]
    judge: Judge
    about: Proposals


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the pairs: their places, what was preferred, and the principles' votes."""

    places: Sequence[int]
    comparisons: Sequence[Comparison]
    signs: Sequence[int]
    ballots: Ballots

    def each(self, k: int) -> tuple[Tally, Tally]:
        """Tallies of a principle: by itself, and for the pairs that it decides."""
        votes_N, scored_N = self.ballots.votes_CN[k], self.ballots.scored_CN[k]
        mine = np.flatnonzero(decided(self.ballots.votes_CN) == k)
        signs = np.asarray(self.signs)
        return (
            tally(votes_N, scored_N, self.signs),
            tally(votes_N[mine], scored_N[mine], signs[mine].tolist()),
        )

    def together(self) -> Tally:
        """Tally of all principles in order; a pair is unscored if the judge failed on one."""
        ballots = self.ballots
        scored_N = np.logical_and.reduce(ballots.scored_CN, axis=0)
        return tally(verdicts(ballots.votes_CN), np.atleast_1d(scored_N), self.signs)


def run(
    preferences: Preferences,
    config: InduceConfig,
    *,
    proposer: Model | None = None,
    judge_for: JudgeFor | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Learn principles from preferences.

    Args:
        preferences: pairs, each with the answer that was preferred.
        config: the choices.
        proposer: a model that proposes principles; features that can be counted if None.
        judge_for: makes the judge of the candidates; the scripted one if None, which a model's
            proposals cannot do with.
        progress: told how many pairs are judged.

    Raises:
        DataError: a choice makes no sense.
    """
    config.check()
    assert proposer is None or judge_for is not None, "proposals in words need a judge"
    train, held = divided(preferences, config.held_out, config.seed)
    proposal = _proposed(preferences, train, config, proposer, judge_for)
    ids = [one.id for one in proposal.candidates]
    vote = partial(ask, proposal.judge, margin=config.margin, progress=progress)
    pairs, signs = preferences.part(train)
    first = vote(pairs, ids)
    costs = [COSTS[one.family] for one in proposal.candidates]
    chosen = choose(first.votes_CN, signs, costs, config.max_principles)
    others, other_signs = preferences.part(held)
    second = vote(others, [ids[c] for c in chosen], stage="test")
    trained = _Part(train, pairs, signs, first.of(chosen))
    tested = _Part(held, others, other_signs, second)
    picked = [proposal.candidates[c] for c in chosen]
    induced = _induced(preferences, config, proposal, picked, trained, tested)
    return Outcome(induced, _whole(len(preferences.signs), trained, tested))


def _proposed(
    preferences: Preferences,
    train: Sequence[int],
    config: InduceConfig,
    proposer: Model | None,
    judge_for: JudgeFor | None,
) -> _Proposal:
    pairs, signs = preferences.part(train)
    if proposer is None:
        pool = mining.pool(pairs)
        mined = mining.mine(pool, signs, most=config.candidates, seed=config.seed)
        kept = [one.candidate for one in mined]
        about = Proposals(RULES, len(pool.features), len(kept))
        if judge_for and kept:  # the features' p-values say nothing of another judge's votes
            return _Proposal(kept, {}, judge_for(kept), about)
        scripted = ScriptedJudge({one.candidate.id: (one.feature, one.sign) for one in mined})
        return _Proposal(kept, {m.candidate.id: m.p_family for m in mined}, scripted, about)
    assert judge_for is not None
    found = propose(
        proposer, pairs, signs, requests=config.requests, pairs=config.pairs, seed=config.seed
    )
    kept = clustered(found.candidates)[: config.candidates]
    about = Proposals(proposer.identity, len(found.candidates), len(kept), found.left_out)
    # With nothing to judge, no judge's model need be loaded.
    return _Proposal(kept, {}, judge_for(kept) if kept else ScriptedJudge({}), about)


def _induced(
    preferences: Preferences,
    config: InduceConfig,
    proposal: _Proposal,
    picked: Sequence[Candidate],
    trained: _Part,
    tested: _Part,
) -> Induced:
    evidence = [Evidence(*trained.each(k), *tested.each(k)) for k in range(len(picked))]
    principles = result.learned(picked, evidence, proposal.p_family, config.level)
    overall, held = tested.together(), len(tested.places)
    shared = shared_questions(preferences, tested.places)
    return Induced(
        above_chance=bool(principles) and overall.p <= config.level,
        verdict=result.verdict(bool(principles), overall, config.level),
        principles=principles,
        train=trained.together(),
        held_out=overall,
        longer=_longer(tested.comparisons, tested.signs),
        pairs=len(preferences.signs),
        train_pairs=len(trained.places),
        held_out_pairs=held,
        left_out=dict(preferences.left_out),
        proposals=proposal.about,
        judge=proposal.judge.identity,
        name=preferences.name,
        config=config,
        notes=result.notes(held, shared, principles, config.level),
        digest=preferences.digest,
    )


def _longer(comparisons: Sequence[Comparison], signs: Sequence[int]) -> Rate:
    """How often the longer answer was preferred; equal lengths are left out."""
    gaps = [len(c.a) - len(c.b) for c in comparisons]
    right = sum(gap * sign > 0 for gap, sign in zip(gaps, signs, strict=True))
    return wilson(right, sum(gap != 0 for gap in gaps))


def _whole(total: int, *parts: _Part) -> Ballots:
    """The votes of all parts, each pair at its own place."""
    rows = len(parts[0].ballots.votes_CN)
    votes = np.zeros((rows, total), dtype=np.int8)
    scored = np.zeros((rows, total), dtype=np.bool_)
    for part in parts:
        places = list(part.places)
        votes[:, places] = part.ballots.votes_CN
        scored[:, places] = part.ballots.scored_CN
    return Ballots(votes, scored)
