"""Embedding sentences with a tiny model, and `lint --model` that compares clauses by them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from charter.cli.constitution import group
from charter.models.hf import HFModel, load
from charter.readout.sentences import SentenceEmbedder

TEXTS = ["Tell me a story.", "Say something kind.", "apple stone river cloud"]


@pytest.fixture(scope="module")
def model(tiny_model_folder: Path) -> HFModel:
    return load(str(tiny_model_folder))


def cosine(one: list[float], other: list[float]) -> float:
    return float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))


def test_what_all_texts_share_is_taken_off(model: HFModel) -> None:
    rows = SentenceEmbedder(model, TEXTS)(TEXTS)
    assert np.allclose(np.mean(rows, axis=0), 0.0, atol=1e-5)
    assert np.shape(rows) == (3, 32)


def test_a_repetition_is_close_and_another_text_is_not(model: HFModel) -> None:
    embed = SentenceEmbedder(model, TEXTS)
    one, again, other = embed(["How do I bake bread?", "How do I bake bread?", TEXTS[2]])
    assert cosine(one, again) == pytest.approx(1.0)
    assert cosine(one, other) < 0.9
    assert embed([]) == []


def clause(id: str, text: str, question: str) -> str:
    return (
        f"  - id: {id}\n    title: {id}\n    text: {text}\n    critique_request: c\n"
        f"    revision_request: r\n    comparison_question: {question}\n"
    )


def test_lint_compares_by_a_model_on_request(tiny_model_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "doc.yaml"
    file.write_text(
        'format: charter/constitution/1\nname: t\nversion: "1"\nprinciples:\n'
        + clause("kind", "Say something kind.", "Which is kind?")
        + clause("stone", "apple stone river cloud", "What is a good plan?")
        + clause("again", "Say something kind.", "yes or no")
    )
    called = CliRunner().invoke(
        group, ["lint", str(file), "--model", str(tiny_model_folder), "--json"]
    )
    found = [f for f in json.loads(called.output)["findings"] if f["code"] == "near-duplicate"]
    assert [(f["principle"], f["evidence"]["other"]) for f in found] == [("again", "kind")]
    assert found[0]["evidence"]["cosine"] == pytest.approx(1.0, abs=1e-4)
