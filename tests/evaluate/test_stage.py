from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from charter.errors import InputError
from charter.evaluate.measure import measurements
from charter.evaluate.refusal import LexicalRefusalScorer
from charter.evaluate.stage import EvaluateConfig, EvaluateDeps, run
from charter.records import Answer, Completion, Measurement, Model, Prompt, Request, Scorer
from charter.seeds import derive
from charter.store import RunFolder, StageFolder

from .conftest import COMPLYING, REFUSING, PlantedModel, PlantedScorer, prompts

PROMPTS = [*prompts("redteam", 30), *prompts("benign", 25), *prompts("borderline", 10)]
CONFIG = EvaluateConfig(bootstrap_draws=20)


def _scorers() -> dict[str, Scorer]:
    return {
        "compliance": PlantedScorer(
            "compliance@1", lambda text: None if not text else float(text == COMPLYING)
        ),
        "refusal": LexicalRefusalScorer(),
        "helpful": PlantedScorer("helpful@2", lambda text: float(len(text)) if text else None),
    }


def _always(name: str, text: str) -> Callable[[], Model]:
    return lambda: PlantedModel(name, lambda request: text)


MODELS = {"base": _always("base", COMPLYING), "rl_cai": _always("rl", REFUSING)}


def _answers(folder: StageFolder) -> list[Answer]:
    return list(folder.log(Answer))


def _figures(folder: StageFolder) -> dict[tuple[str, str], Measurement]:
    return {(m.model, m.metric): m for m in measurements(_answers(folder), CONFIG, 0)}


def test_always_complying_and_always_refusing(folder: StageFolder) -> None:
    manifest = run(PROMPTS, CONFIG, deps=EvaluateDeps(MODELS, _scorers(), folder))
    assert manifest.kept == 2 * len(PROMPTS)
    found = _figures(folder)
    assert found["base", "harmful_compliance"].value == 1.0
    assert found["base", "over_refusal"].value == found["base", "refusal_redteam"].value == 0.0
    assert found["rl_cai", "harmful_compliance"].value == 0.0
    assert found["rl_cai", "over_refusal"].value == found["rl_cai", "refusal_redteam"].value == 1.0
    assert found["rl_cai", "over_refusal"].n == 35
    assert found["rl_cai", "elo_harmless"].low > 0


def test_unscored_answers_are_counted_and_left_out(folder: StageFolder) -> None:
    silent_on = {p.messages for p in prompts("redteam", 12)}
    models = {
        "base": lambda: PlantedModel(
            "base", lambda request: "" if request.messages in silent_on else COMPLYING
        )
    }
    manifest = run(PROMPTS, CONFIG, deps=EvaluateDeps(models, _scorers(), folder))
    measured = _figures(folder)["base", "harmful_compliance"]
    assert (measured.value, measured.n, measured.unscored) == (1.0, 18, 12)
    assert manifest.notes["unscored"] == {"compliance": 12, "refusal": 12, "helpful": 12}
    assert manifest.notes["disagreement"]["unscored"] == 12


def test_records_say_what_made_them(folder: StageFolder) -> None:
    deps = EvaluateDeps(MODELS, _scorers(), folder, seed=11)
    run(PROMPTS, CONFIG, deps=deps)
    last = _answers(folder)[-1]
    assert last.id == f"rl_cai/{PROMPTS[-1].id}"
    assert last.origin.model == "rl@0"
    assert last.origin.sampling == CONFIG.answers
    assert last.origin.seed == derive(11, "evaluate", PROMPTS[-1].id)
    assert last.tokens == len(REFUSING.split())
    assert last.scores == {"compliance": 0.0, "refusal": 1.0, "helpful": float(len(REFUSING))}


def test_all_models_get_the_same_seeds(folder: StageFolder) -> None:
    made: dict[str, PlantedModel] = {}

    def load(name: str) -> Callable[[], Model]:
        def loaded() -> Model:
            made[name] = PlantedModel(name, lambda request: COMPLYING)
            return made[name]

        return loaded

    models = {name: load(name) for name in ("base", "sl_cai", "rl_cai")}
    run(PROMPTS, CONFIG, deps=EvaluateDeps(models, _scorers(), folder, seed=4))
    asked = {name: [r for call in m.calls for r in call] for name, m in made.items()}
    assert asked["base"] == asked["sl_cai"] == asked["rl_cai"]
    assert len({request.seed for request in asked["base"]}) == len(PROMPTS)


def test_no_call_mixes_models(folder: StageFolder) -> None:
    """65 prompts are no multiple of a chunk: the second chunk straddles the two models."""
    scorers = _scorers()
    run(PROMPTS, CONFIG, deps=EvaluateDeps(MODELS, scorers, folder))
    compliance = scorers["compliance"]
    assert isinstance(compliance, PlantedScorer)
    for call in compliance.calls:
        assert len({text for _, text in call}) == 1
        assert len({prompt.id for prompt, _ in call}) == len(call)
    assert sum(map(len, compliance.calls)) == 2 * len(PROMPTS)


def test_models_are_loaded_once_in_order_and_one_at_a_time(folder: StageFolder) -> None:
    loaded: list[str] = []
    alive: list[weakref.ref[PlantedModel]] = []

    def load(name: str) -> Callable[[], Model]:
        def loader() -> Model:
            gc.collect()
            assert not [ref for ref in alive if ref() is not None]
            model = PlantedModel(name, lambda request: COMPLYING)
            loaded.append(name)
            alive.append(weakref.ref(model))
            return model

        return loader

    models = {name: load(name) for name in ("base", "sl_cai", "rl_cai")}
    run(PROMPTS, CONFIG, deps=EvaluateDeps(models, _scorers(), folder))
    assert loaded == ["base", "sl_cai", "rl_cai"]


class _KilledError(Exception):
    pass


class _DiesAfter:
    """A model that is killed at its n-th call."""

    def __init__(self, model: PlantedModel, calls: int) -> None:
        self.model, self.calls = model, calls
        self.identity = model.identity

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        if self.calls == 0:
            raise _KilledError
        self.calls -= 1
        return self.model.generate(requests)


@pytest.mark.parametrize(("victim", "calls"), [("base", 1), ("rl_cai", 0), ("rl_cai", 1)])
def test_a_killed_run_resumes_to_identical_bytes(tmp_path: Path, victim: str, calls: int) -> None:
    def varied(request: Request) -> str:
        return COMPLYING if request.seed % 3 else REFUSING

    def models(dying: str = "") -> dict[str, Callable[[], Model]]:
        def load(name: str) -> Callable[[], Model]:
            whole = PlantedModel(name, varied)
            return lambda: _DiesAfter(whole, calls) if name == dying else whole

        return {name: load(name) for name in ("base", "rl_cai")}

    whole = RunFolder(tmp_path / "whole").stage("evaluate", 1)
    expected = run(PROMPTS, CONFIG, deps=EvaluateDeps(models(), _scorers(), whole))
    cut = RunFolder(tmp_path / "cut").stage("evaluate", 1)
    with pytest.raises(_KilledError):
        run(PROMPTS, CONFIG, deps=EvaluateDeps(models(victim), _scorers(), cut))
    assert cut.manifest is None
    resumed = run(PROMPTS, CONFIG, deps=EvaluateDeps(models(), _scorers(), cut))
    records = [folder.path / "records.jsonl" for folder in (whole, cut)]
    assert records[0].read_bytes() == records[1].read_bytes()
    assert resumed.notes == expected.notes


def test_manifest_names_scorers_and_what_they_are_held_out_from(folder: StageFolder) -> None:
    used = frozenset({"readout-judge@9", "reward@8"})
    deps = EvaluateDeps(MODELS, _scorers(), folder, used_as_label_or_reward=used)
    notes = run(PROMPTS, CONFIG, deps=deps).notes
    assert notes["scorers"] == {key: s.identity for key, s in _scorers().items()}
    assert notes["labelled_or_rewarded"] == ["readout-judge@9", "reward@8"]
    assert notes["disagreement"]["value"] == 0.0
    assert notes["disagreement"]["n"] == 60
    assert notes["error_rates"] == {}


def test_the_manifest_keeps_the_error_rates_of_a_measured_scorer(folder: StageFolder) -> None:
    class Measured(PlantedScorer):
        error_rates = {"harmful_compliance": {"threshold": 0.5}}

    scorers = {**_scorers(), "compliance": Measured("compliance@1", lambda text: 0.5)}
    notes = run(PROMPTS, CONFIG, deps=EvaluateDeps(MODELS, scorers, folder)).notes
    assert notes["error_rates"] == Measured.error_rates


@pytest.mark.parametrize("used", ["compliance@1", "readout-judge@1", "reward@2"])
def test_a_scorer_that_labelled_or_rewarded_is_refused(folder: StageFolder, used: str) -> None:
    """By its identity, or under another name that shows the same digest."""
    deps = EvaluateDeps(MODELS, _scorers(), folder, used_as_label_or_reward=frozenset({used}))
    with pytest.raises(InputError, match="held out") as caught:
        run(PROMPTS, CONFIG, deps=deps)
    assert caught.value.field is not None
    assert used in str(caught.value)
    assert _answers(folder) == []


def test_other_scorers_with_plain_names_are_not_confused(folder: StageFolder) -> None:
    deps = EvaluateDeps(MODELS, _scorers(), folder, used_as_label_or_reward=frozenset({"human"}))
    assert run(PROMPTS, CONFIG, deps=deps).kept == 2 * len(PROMPTS)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (EvaluateConfig(reference="start"), "reference"),
        (EvaluateConfig(compliance_threshold=1.5), "compliance_threshold"),
        (EvaluateConfig(bootstrap_draws=0), "bootstrap_draws"),
    ],
)
def test_settings_without_sense_are_named(
    folder: StageFolder, config: EvaluateConfig, field: str
) -> None:
    with pytest.raises(InputError) as caught:
        run(PROMPTS, config, deps=EvaluateDeps(MODELS, _scorers(), folder))
    assert caught.value.field == f"evaluate.{field}"


def test_doubled_prompts_are_refused(folder: StageFolder) -> None:
    doubled: list[Prompt] = [*PROMPTS, PROMPTS[0]]
    with pytest.raises(InputError, match="redteam-0"):
        run(doubled, CONFIG, deps=EvaluateDeps(MODELS, _scorers(), folder))
