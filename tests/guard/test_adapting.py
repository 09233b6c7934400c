"""A guard whose model has an adapter of its own: trained, written, loaded, on the tiny model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from tests.guard.test_guard_model import ROWS, SETTINGS

from charter.cli.main import cli as main
from charter.errors import InputError, ModelError
from charter.guard import adapting, fitting, loading
from charter.guard.readout_guard import ADAPTER, score_head
from charter.models import hf
from charter.training.settings import TrainSettings

TUNING = TrainSettings(epochs=3, learning_rate=5e-3, lora_rank=4, max_length=64)


@pytest.fixture(scope="module")
def parts() -> adapting.Divided:
    return adapting.divided(ROWS, 0.5, 0.25)


@pytest.fixture(scope="module")
def guard(
    parts: adapting.Divided, tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out, name = tmp_path_factory.mktemp("adapted"), str(tiny_model_folder)
    folder = adapting.adapt(parts.adapter, name, out, TUNING)
    fitting.train(
        parts.heads,
        hf.load(name, adapters=[folder]),
        name,
        out,
        cache=out / "cache",
        settings=SETTINGS,
        learned=parts.adapter,
    )
    return out


def test_what_was_made_of_one_base_goes_to_one_side(parts: adapting.Divided) -> None:
    heads = (*parts.heads.prompts, *parts.heads.answers)
    assert len(heads) + len(parts.adapter) == len(ROWS.prompts) + len(ROWS.answers)
    for answered in (False, True):
        sides = [{r.base for r in s if bool(r.answer) == answered} for s in (heads, parts.adapter)]
        assert sides[0] and sides[1] and not sides[0] & sides[1]
    learned = {row.base for row in parts.adapter}
    held = (*parts.heads.prompts_held_out, *parts.heads.answers_held_out)
    assert not learned & {row.base for row in held}


def test_no_share_leaves_everything_to_the_heads() -> None:
    parts = adapting.divided(ROWS, 0.0)
    assert parts.adapter == ()
    assert (parts.heads.prompts, parts.heads.answers) == (ROWS.prompts, ROWS.answers)


def test_the_adapter_is_small_and_fits_a_causal_model(guard: Path, tiny_model_folder: Path) -> None:
    weights = load_file(guard / ADAPTER / "adapter_model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert all("lora_" in name for name in weights)  # the score head has a file of its own
    score_D = score_head(guard / ADAPTER)
    assert score_D is not None and score_D.shape == (32,) and score_D.any()
    assert score_head(guard) is None
    card = json.loads((guard / ADAPTER / "adapter_config.json").read_text())
    assert (card["task_type"], card["base_model_name_or_path"]) == ("CAUSAL_LM", None)
    plain, adapted = (
        hf.load(str(tiny_model_folder), adapters=a, plain=True).net.state_dict()
        for a in ([], [guard / ADAPTER])
    )
    changed = [name for name in plain if not torch.equal(plain[name], adapted[name])]
    assert len(changed) == len(weights) // 2


def test_an_adapter_of_the_same_rows_is_not_trained_again(
    guard: Path, parts: adapting.Divided, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(adapting, "tuned", never)
    name = str(tiny_model_folder)
    assert adapting.adapt(parts.adapter, name, guard, TUNING) == guard / ADAPTER
    with pytest.raises(AssertionError, match="trained"):
        adapting.adapt(parts.adapter[1:], name, guard, TUNING)


def test_a_loaded_guard_finds_what_was_planted(guard: Path) -> None:
    card = json.loads((guard / "guard.json").read_text())
    assert card["adapter"] is True
    found = card["about"]["held_out"]["prompt"]
    assert found["auroc"] > 0.95
    assert found["baseline"]["auroc"] > 0.9
    loaded = loading.load(str(guard))
    rows = ROWS.prompts_held_out
    scores = [loaded.classifier.start(r.conversation).conversation_score for r in rows]
    harmful = [s for s, r in zip(scores, rows, strict=True) if r.label == "harmful"]
    harmless = [s for s, r in zip(scores, rows, strict=True) if r.label == "harmless"]
    assert sum(harmful) / len(harmful) > sum(harmless) / len(harmless) + 0.2


def test_the_words_learn_from_all_rows(
    guard: Path, parts: adapting.Divided, tiny_model_folder: Path, tmp_path: Path
) -> None:
    name = str(tiny_model_folder)
    fitting.train(ROWS, hf.load(name), name, tmp_path, cache=tmp_path / "cache", settings=SETTINGS)

    def entries(folder: Path) -> set[str]:
        return set(json.loads((folder / "words-prompt" / "words.json").read_text())["entries"])

    assert entries(guard) == entries(tmp_path)


def test_a_guard_whose_adapter_was_changed_is_refused(guard: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(guard, copy, ignore=shutil.ignore_patterns("cache"))
    config = copy / ADAPTER / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 32', '"lora_alpha": 64'))
    with pytest.raises(ModelError, match="was fitted on"):
        loading.load(str(copy))


def test_all_weights_are_no_adapter(tmp_path: Path, tiny_model_folder: Path) -> None:
    with pytest.raises(InputError, match="lora_rank"):
        adapting.adapt((), str(tiny_model_folder), tmp_path, TrainSettings(lora_rank=0))


def test_the_command_trains_both(tiny_model_folder: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "rows.jsonl", tmp_path / "guard"
    rows = (*ROWS.prompts, *ROWS.answers, *ROWS.prompts_held_out, *ROWS.answers_held_out)
    data.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    given = ["--data", data, "--out", out, "--model", tiny_model_folder, "--cache", tmp_path / "c"]
    more = ["--adapter-share", "0.5", "--lora-rank", "2", "--json"]
    result = CliRunner().invoke(main, ["guard", "train", *map(str, given), *more])
    assert result.exit_code == 0, result.output
    left = json.loads(result.stdout)["rows"]["prompts"]
    assert 0 < left < len(ROWS.prompts)
    assert (out / ADAPTER / "adapter_model.safetensors").exists()
    assert loading.load(str(out)).thresholds.prompt > 0
