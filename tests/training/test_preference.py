from __future__ import annotations

import pytest
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from charter.errors import ModelError, TrainingError
from charter.models import hf
from charter.records import Checkpoint, Message, Prompt, Scorer
from charter.training.examples import ChatExample, PairExample, end_of_turn
from charter.training.objectives import lay_out_rows
from charter.training.preference import load_reward, train_preference
from charter.training.run import train_sft
from charter.training.settings import TrainSettings

ASKS = ["Tell me a story.", "Say something kind.", "What is a good plan?", "How do I bake bread?"]
THINGS = ["apple", "stone", "river", "cloud", "a of", "the is", "to and", "no"]
SETTINGS = TrainSettings(learning_rate=1e-2, batch_size=8, lora_rank=4, epochs=4.0)


def ask(text):
    return (Message("user", text),)


def pairs(things, p=1.0):
    # The planted word stands on either side, so that position says nothing.
    forward = [PairExample(ask(a), f"please {t}", f"sorry {t}", p) for a in ASKS for t in things]
    back = [PairExample(ask(a), f"sorry {t}", f"please {t}", 1 - p) for a in ASKS for t in things]
    return forward + back


def margin(scorer, thing="apple"):
    prompt = Prompt("p", ask(ASKS[0]))
    kind, unkind = scorer.score([(prompt, f"please {thing}"), (prompt, f"sorry {thing}")])
    return kind.value - unkind.value


@pytest.fixture
def start(tiny_model_folder):
    return Checkpoint(str(tiny_model_folder))


@pytest.mark.parametrize("rank", [4, 0])
def test_a_planted_preference_is_learnt_and_generalises(start, tmp_path, rank):
    rate = 1e-2 if rank else 3e-3
    settings = TrainSettings(learning_rate=rate, lora_rank=rank, epochs=4.0)
    trained = train_preference(start, pairs(THINGS[:5]), settings, tmp_path / "out")
    assert trained.curve[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    scorer = load_reward(tmp_path / "out")
    margins = [margin(scorer, thing) for thing in THINGS[5:]]
    assert sum(m > 0 for m in margins) / len(margins) > 0.9
    expected = (str(tmp_path / "out"), ()) if rank == 0 else (start.base, (str(tmp_path / "out"),))
    assert (trained.checkpoint.base, trained.checkpoint.adapters) == expected
    assert trained.checkpoint.digest in scorer.identity


def test_the_label_decides_sign_and_size(start, tmp_path):
    found = {}
    for p in (0.9, 0.7, 0.5, 0.1):
        train_preference(start, pairs(THINGS, p), SETTINGS, tmp_path / str(p), centring=0.0)
        found[p] = margin(load_reward(tmp_path / str(p)))
    assert found[0.9] > found[0.7] + 0.3 > found[0.5] + 0.6
    assert found[0.5] == pytest.approx(0, abs=0.1)
    assert found[0.1] < -0.5


def test_scores_are_centred_on_the_training_answers(start, tmp_path):
    data = pairs(THINGS)
    train_preference(start, data, SETTINGS, tmp_path)
    scorer = load_reward(tmp_path)
    exchanges = [(Prompt("p", pair.messages), text) for pair in data for text in (pair.a, pair.b)]
    values = [scored.value for scored in scorer.score(exchanges)]
    assert sum(values) / len(values) == pytest.approx(0, abs=1e-4)
    assert max(values) > 0.5


def test_the_scorer_keeps_order_and_gives_no_score_to_an_empty_answer(start, tmp_path):
    train_preference(start, pairs(THINGS), SETTINGS, tmp_path)
    scorer = load_reward(tmp_path)
    assert isinstance(scorer, Scorer)
    prompt = Prompt("p", ask(ASKS[0]))
    texts = ["please " * 20, "  ", "sorry", "please river"]
    together = scorer.score([(prompt, text) for text in texts])
    assert together[1].value is None and together[1].reason
    for text, scored in zip(texts, together, strict=True):
        alone = scorer.score([(prompt, text)])[0].value
        assert scored.value == pytest.approx(alone, abs=1e-5)
    assert scorer.score([]) == []


def test_transformers_own_forward_gives_the_same_rewards(start, tmp_path):
    train_preference(start, pairs(THINGS), SETTINGS, tmp_path)
    scorer = load_reward(tmp_path)
    tokeniser = scorer.tokeniser
    rows = [tokeniser.row(tokeniser.model.render(ask(a)), "please") for a in ASKS]
    assert end_of_turn(hf.load(start.base)) == tokeniser.end == rows[0].answer[-1]
    batch, net = lay_out_rows(rows), scorer.net.net
    padded = torch.where(
        batch["attention_mask"].bool(), batch["input_ids"], net.config.pad_token_id
    )
    with torch.inference_mode():
        theirs = net(input_ids=padded, attention_mask=batch["attention_mask"]).logits[:, 0]
    assert scorer.rewards(rows) == pytest.approx(theirs.tolist(), abs=1e-5)


def test_it_builds_on_a_start_with_adapters(start, tmp_path):
    sft = train_sft(start, [ChatExample(ask(ASKS[0]), "good")] * 8, SETTINGS, tmp_path / "sft")
    trained = train_preference(sft.checkpoint, pairs(THINGS), SETTINGS, tmp_path / "pm")
    assert trained.checkpoint.adapters == (str(tmp_path / "sft"), str(tmp_path / "pm"))
    assert margin(load_reward(tmp_path / "pm")) > 0.5


def test_no_pairs_and_no_model_are_errors(start, tmp_path):
    with pytest.raises(TrainingError, match="no pairs"):
        train_preference(start, [], SETTINGS, tmp_path)
    with pytest.raises(ModelError, match="preference model"):
        load_reward(tmp_path / "nothing")


def test_it_scores_a_policy_that_has_another_tokenizer(start, tmp_path):
    """Texts go between the two, never ids: one that spells letter by letter is scored alike."""
    train_preference(start, pairs(THINGS), SETTINGS, tmp_path / "pm")
    scorer = load_reward(tmp_path / "pm")
    letters = {chr(c): c for c in range(32, 127)}
    policy = Tokenizer(models.WordLevel(letters, unk_token=" "))
    policy.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    texts = ["please apple", "sorry apple"]
    spelt = [policy.encode(text).ids for text in texts]
    assert spelt[0] != scorer.tokeniser.model.encode(texts[0])
    said = ["".join(chr(i) for i in ids) for ids in spelt]
    prompt = Prompt("p", ask(ASKS[0]))
    found = scorer.score([(prompt, text) for text in said])
    assert [s.value for s in found] == [s.value for s in scorer.score([(prompt, t) for t in texts])]
    assert found[0].value > found[1].value
    # It has its own tokenizer beside its weights: it loads where the start's is not looked at.
    assert (tmp_path / "pm" / "tokenizer.json").exists()


def test_heavier_pairs_outvote_lighter_ones(start, tmp_path):
    data = [
        *(PairExample(p.messages, p.a, p.b, p.p_a, 1.0) for p in pairs(THINGS)),
        *(PairExample(p.messages, p.a, p.b, 1 - p.p_a, 0.1) for p in pairs(THINGS)),
    ]
    train_preference(start, data, SETTINGS, tmp_path / "out", centring=0.0)
    assert margin(load_reward(tmp_path / "out")) > 0.5


def test_the_mean_is_zero_on_the_reference_that_is_given(start, tmp_path):
    reference = pairs(THINGS[:2])
    train_preference(start, pairs(THINGS), SETTINGS, tmp_path, reference=reference)
    scorer = load_reward(tmp_path)
    said = [(Prompt("p", p.messages), text) for p in reference for text in (p.a, p.b)]
    values = [scored.value for scored in scorer.score(said)]
    assert sum(values) / len(values) == pytest.approx(0, abs=1e-4)
