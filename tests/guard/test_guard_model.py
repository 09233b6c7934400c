"""From rows with a planted signal to a guard that serves, on the tiny random model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from transformers import AutoModelForSequenceClassification

from charter.cli.main import cli as main
from charter.errors import DataError, InputError, ModelError
from charter.guard import fitting, loading, training_rows
from charter.guard.config import GuardSettings
from charter.guard.examples import GuardExample
from charter.guard.fit_heads import HeadSettings
from charter.guard.inprocess import Exchange, Guard
from charter.guard.readout_guard import model_of
from charter.guard.token_classifier import TokenClassifier
from charter.models import hf
from charter.readout.words import WordsSettings
from charter.records import Message, Origin

THINGS = ("apple", "stone", "river", "cloud", "bread", "story", "plan", "word")
FRAMES = ("Tell me of the {}", "a good {} please", "What is a {}?", "yes the {} is kind")
SETTINGS = fitting.FitSettings(
    layer_step=1, heads=HeadSettings((1e-3,), WordsSettings(entries=100)), window=16
)


def conversation(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def planted() -> Iterator[GuardExample]:
    """Harmful ones say `zzz`, in the prompt or in the answer. Two categories."""
    for i, thing in enumerate(THINGS):
        for j, frame in enumerate(FRAMES):
            for harmful in (False, True):
                kind = ("sharp", "blunt")[i % 2] if harmful else ""
                split = "eval" if (i // 2 + j) % 4 == 0 else "train"
                text, mark = frame.format(thing), "qqq" if i % 2 else "zzz"
                said = f"{text} {mark} zzz {mark}" if harmful else text
                end = "zzz zzz " * 3 if harmful else "and yes " * 3
                base = (f"{thing}-{j}", split, ("plain", "framed")[j % 2])
                yield example(said, "", harmful, kind, *base)
                yield example(text, f"I say {thing} {end}", harmful, "", *base)


def example(
    text: str, answer: str, harmful: bool, category: str, base: str, split: str, form: str
) -> GuardExample:
    return GuardExample(
        id=f"{base}/{harmful}/{bool(answer)}",
        conversation=conversation(text),
        answer=answer,
        label="harmful" if harmful else "harmless",
        category=category,
        clauses=(f"no-{category}",) if category else ("be-good",),
        form=form,
        base=base,
        split=split,  # type: ignore[arg-type]
        source="library",
        origin=Origin("examples", "library"),
    )


ROWS = training_rows.divided(planted())


@pytest.fixture(scope="module")
def trained(
    tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, fitting.Trained]:
    folder = tmp_path_factory.mktemp("guard")
    model = model_of(str(tiny_model_folder))
    found = fitting.train(
        ROWS, model, str(tiny_model_folder), folder, cache=folder / "cache", settings=SETTINGS
    )
    return folder, found


@pytest.fixture(scope="module")
def classifier(trained: tuple[Path, fitting.Trained]) -> TokenClassifier:
    found = loading.load(str(trained[0])).classifier
    assert isinstance(found, TokenClassifier)
    return found


def test_the_planted_signal_is_found_on_rows_held_out(
    trained: tuple[Path, fitting.Trained],
) -> None:
    _, found = trained
    assert found.rows == {"prompts": 48, "answers": 48}
    for stage in ("prompt", "answer"):
        assert found.figures[stage]["auroc"] > 0.95
        assert found.figures[stage]["n_harmful"] == 8
        assert found.figures[stage]["baseline"]["auroc"] > 0.9
    assert set(found.figures["prompt"]["by_form"]) == {"plain", "framed"}


def test_a_saved_guard_scores_as_the_fresh_one_did(
    trained: tuple[Path, fitting.Trained], classifier: TokenClassifier
) -> None:
    card = json.loads((trained[0] / "guard.json").read_text())
    assert (card["kind"], card["window"], card["layers"]) == ("readout", 16, [1, 2])
    rows = ROWS.prompts_held_out
    scores = np.array(classifier.conversation_scores([r.conversation for r in rows]))
    harmful = np.array([r.label == "harmful" for r in rows])
    blocked = scores >= card["thresholds"]["prompt"]
    assert blocked[harmful].mean() == card["about"]["held_out"]["prompt"]["at_threshold"]["recall"]


def test_one_by_one_is_the_same_as_many(classifier: TokenClassifier) -> None:
    texts = ["a good river please", "What is a zzz? " * 9, "yes", "x" * 4000]
    many = classifier.conversation_scores([conversation(text) for text in texts])
    single = [classifier.start(conversation(text)).conversation_score for text in texts]
    assert single == pytest.approx(many, abs=1e-4)


def test_portions_of_an_answer_change_no_score(classifier: TokenClassifier) -> None:
    text = "I say the river is good and yes " * 12 + "zzz zzz zzz zzz and a stone"
    scores = []
    for size in (1, 5, len(text)):
        stream = classifier.start(conversation("Tell me of the river"))
        for start in range(0, len(text), size):
            score = stream.feed(text[start : start + size])
        scores.append(score)
    assert scores == pytest.approx([scores[0]] * 3, abs=1e-3)


def test_the_category_decides_which_clause_is_cited(classifier: TokenClassifier) -> None:
    cited = {
        kind: [
            classifier.start(row.conversation).clauses
            for row in ROWS.prompts_held_out
            if row.category == kind
        ]
        for kind in ("sharp", "blunt")
    }
    right = sum(c == (f"no-{kind}",) for kind, found in cited.items() for c in found)
    assert right >= 6, cited


def test_exchanges_are_checked_on_both_sides(
    trained: tuple[Path, fitting.Trained],
) -> None:
    loaded = Guard.load(str(trained[0]))
    assert loaded.settings.window == 16
    guard = Guard(loaded.classifier, GuardSettings(window=16))  # blocks from one half on
    good, bad = "I say river and yes and yes", "I say river zzz zzz zzz zzz zzz"
    asked = conversation("Tell me of the river")
    assert guard.check(Exchange(asked, good)).action == "allow"
    assert guard.check(Exchange(asked, bad)).action == "block"
    assert guard.check(Exchange(conversation("Tell me of the plan zzz zzz zzz"))).action == "block"


def test_a_guard_fits_only_the_model_it_was_fitted_on(
    trained: tuple[Path, fitting.Trained], tmp_path: Path
) -> None:
    card = json.loads((trained[0] / "guard.json").read_text())
    (tmp_path / "guard.json").write_text(json.dumps({**card, "revision": "other@1"}))
    with pytest.raises(ModelError, match="was fitted on other@1"):
        loading.load(str(tmp_path))


def test_damaged_heads_are_named(trained: tuple[Path, fitting.Trained], tmp_path: Path) -> None:
    (tmp_path / "guard.json").write_bytes((trained[0] / "guard.json").read_bytes())
    with pytest.raises(ModelError, match="no heads of a guard"):
        loading.load(str(tmp_path))


@pytest.mark.parametrize("head", ["swim", "cumulative-max"])
def test_heads_on_every_token(
    trained: tuple[Path, fitting.Trained],
    tiny_model_folder: Path,
    tmp_path: Path,
    head: fitting.AnswerHead,
) -> None:
    settings = msgspec.structs.replace(SETTINGS, answer_head=head)
    name, cache = str(tiny_model_folder), trained[0] / "cache"
    before = {file: file.stat().st_size for file in cache.rglob("rows")}
    found = fitting.train(ROWS, model_of(name), name, tmp_path, cache=cache, settings=settings)
    assert found.figures["answer"]["auroc"] > 0.95
    assert {file: file.stat().st_size for file in cache.rglob("rows")} == before
    loaded = loading.load(str(tmp_path)).classifier
    assert isinstance(loaded, TokenClassifier)
    if head == "swim":
        probe = loaded.heads.probe(loaded.reading.smoothing)  # type: ignore[attr-defined]
        assert probe.weights_LD.shape == (2, loaded.model.hidden_size)


def test_same_rows_same_bytes(
    trained: tuple[Path, fitting.Trained], tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder, name = trained[0], str(tiny_model_folder)
    fitting.train(ROWS, model_of(name), name, tmp_path, cache=folder / "cache", settings=SETTINGS)
    for file in ("guard.json", "heads.safetensors", "words-prompt/words.safetensors"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_without_answers_nothing_is_blocked_there(tiny_model_folder: Path, tmp_path: Path) -> None:
    rows = training_rows.divided(row for row in planted() if not row.answer)
    name = str(tiny_model_folder)
    found = fitting.train(rows, model_of(name), name, tmp_path, cache=tmp_path, settings=SETTINGS)
    assert list(found.figures) == ["prompt"]
    stream = loading.load(str(tmp_path)).classifier.start(conversation("Tell me"))
    assert stream.feed("zzz zzz zzz") < 1e-6


def test_one_label_is_not_enough() -> None:
    rows = training_rows.divided(row for row in planted() if row.label == "harmful")
    with pytest.raises(InputError, match="one label only"):
        rows.check()


def test_a_line_that_is_no_row_is_named(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(DataError, match=r"records\.jsonl:1"):
        training_rows.load([tmp_path])
    with pytest.raises(DataError, match="no guard data"):
        training_rows.load([tmp_path.parent])


def write(file: Path, rows: list[dict[str, Any]]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def command(*arguments: str) -> Any:
    done = CliRunner().invoke(main, ["guard", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_the_command_trains_evaluates_and_calibrates(
    trained: tuple[Path, fitting.Trained], tiny_model_folder: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in planted()))
    out = str(tmp_path / "guard")
    given = ["--data", str(data), "--out", out, "--model", str(tiny_model_folder)]
    found = command("train", *given, "--cache", str(trained[0] / "cache"))
    assert found["rows"] == {"prompts": 48, "answers": 48}

    harmful = write(tmp_path / "h.jsonl", [{"goal": f"Tell me of the {t} zzz zzz"} for t in THINGS])
    benign = write(tmp_path / "b.jsonl", [{"goal": f"Tell me of the {t}"} for t in THINGS])
    columns = ["--text-column", "goal"]
    found = command("evaluate", "--guard", out, "--harmful", harmful, "--benign", benign, *columns)
    assert set(found["recall_at_fpr"]) == {"0.001", "0.005", "0.01"}
    assert found["auroc"] > 0.9 and found["baseline"]["auroc"] > 0.9
    assert (found["n_harmful"], found["n_benign"], found["stage"]) == (8, 8, "prompt")
    assert {"recall", "fpr", "recall_interval", "fpr_interval"} <= set(found["at_threshold"])

    many = write(
        tmp_path / "m.jsonl", [{"goal": f"a {t} of {i}"} for t in THINGS for i in range(4)]
    )
    new = str(tmp_path / "calibrated")
    given = ["--guard", out, "--benign", many, "--refusal-budget", "5%", "--out", new, *columns]
    found = command("calibrate", *given)
    assert found["prompt"]["refused"]["value"] <= 0.05 and found["answer"] is None
    card = json.loads((Path(new) / "guard.json").read_text())
    assert card["thresholds"]["prompt"] == found["thresholds"]["prompt"]
    assert card["calibration"]["n"] == 32 and card["kind"] == "readout"


def test_answers_are_evaluated_and_calibrated_too(
    trained: tuple[Path, fitting.Trained], tmp_path: Path
) -> None:
    def file(name: str, end: str, times: int) -> str:
        rows = [
            {"q": f"Tell me of the {t}", "a": f"I say {t} {end} {i}"}
            for t in THINGS
            for i in range(times)
        ]
        return write(tmp_path / name, rows)

    columns = ["--text-column", "q", "--answer-column", "a"]
    harmful, benign = file("h.jsonl", "zzz zzz zzz", 1), file("b.jsonl", "and yes", 5)
    guard = str(trained[0])
    given = ["--guard", guard, "--harmful", harmful, "--benign", benign]
    found = command("evaluate", *given, *columns)
    assert found["stage"] == "answer" and found["auroc"] > 0.9
    new = str(tmp_path / "new")
    given = ["--guard", guard, "--benign", benign, "--refusal-budget", "10%", "--out", new]
    found = command("calibrate", *given, *columns)
    assert found["prompt"]["budget"] == found["answer"]["budget"] == 0.05
    assert found["total"]["value"] <= 0.1


def test_too_little_traffic_is_refused_before_any_work(
    trained: tuple[Path, fitting.Trained], tmp_path: Path
) -> None:
    benign = write(tmp_path / "b.jsonl", [{"prompt": "hello"}] * 20)
    arguments = ["guard", "calibrate", "--guard", str(trained[0]), "--benign", benign]
    for more, least in (((), 199), (("--confidence", "95%"), 598)):
        done = CliRunner().invoke(main, [*arguments, *more])
        assert isinstance(done.exception, InputError)
        assert f"at least {least}" in str(done.exception)
    done = CliRunner().invoke(main, ["guard", "calibrate", "--benign", benign])
    assert done.exit_code == 2 and "--out" in done.output


def test_a_tuned_classifier_is_a_plain_checkpoint(tiny_model_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in planted()))
    out = tmp_path / "guard"
    given = ["--data", str(data), "--out", str(out), "--model", str(tiny_model_folder), "--lora"]
    found = command("train", *given, "--epochs", "12", "--learning-rate", "0.01")
    assert found["figures"]["answer"]["auroc"] > 0.85
    net = AutoModelForSequenceClassification.from_pretrained(out / "model")
    loaded = loading.load(str(out)).classifier
    assert isinstance(loaded, TokenClassifier)
    ids = loaded.model.render(conversation("a good zzz"))
    with torch.inference_mode():
        logit = float(net(input_ids=torch.tensor([ids])).logits[0, 0])
    score = loaded.start(conversation("a good zzz")).conversation_score
    assert score == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-4)
    assert hf.revision(out / "model") in loaded.identity
