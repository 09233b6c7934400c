"""Labels and demonstrations as rows of other tools' training files, and back where nothing is lost.

Owns the columns of each format. Knows nothing of files. Column names were read from the tools'
own code and pages: TRL (dataset formats), OpenRLHF (`openrlhf/datasets/reward_dataset.py`), verl
(`docs/preparation/prepare_data.rst`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from charter.errors import DataError
from charter.records import Comparison, Demonstration, Labelled, Message, Verdict

Row = dict[str, Any]
SOURCE = "charter"
"""verl picks a reward function by `data_source`."""


def preference(labelled: Labelled) -> Row:
    """A verdict as a conversational preference row of TRL, with all that is known beside it.

    `p` is P(chosen better), at least 1/2. At exactly 1/2 `tie` is true and `chosen` is answer A,
    which says nothing. `record` is JSON: the whole record without the texts, for `labelled`.
    """
    comparison, verdict = labelled.comparison, _verdict(labelled)
    a_wins = verdict.p_a >= 0.5
    texts = (comparison.a, comparison.b) if a_wins else (comparison.b, comparison.a)
    return {
        "prompt": _messages(comparison.prompt.messages),
        "chosen": _answer(texts[0]),
        "rejected": _answer(texts[1]),
        "p": verdict.p_a if a_wins else 1.0 - verdict.p_a,
        "tie": verdict.p_a == 0.5,
        "chosen_is": "a" if a_wins else "b",
        "id": comparison.id,
        "kind": comparison.prompt.kind,
        "judge": verdict.judge,
        "record": msgspec.json.encode(_without_texts(labelled)).decode(),
    }


def labelled(row: Row) -> Labelled:
    """The record that `preference` made a row of, bit for bit.

    Raises:
        DataError: the row has no `record`, or it is damaged.
    """
    try:
        bare = msgspec.json.decode(row["record"], type=Labelled)
        sides = [row[name][0]["content"] for name in ("chosen", "rejected")]
        messages = msgspec.convert(row["prompt"], tuple[Message, ...])
        a, b = sides if row["chosen_is"] == "a" else reversed(sides)
    except (msgspec.MsgspecError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"not a row that charter wrote: {error}", field="record") from error
    prompt = replace(bare.comparison.prompt, messages=messages)
    return replace(bare, comparison=replace(bare.comparison, prompt=prompt, a=a, b=b))


def openrlhf(labelled: Labelled) -> Row:
    """For OpenRLHF's reward and DPO training, with `--data.prompt_key prompt` and a chat template.

    No `margin`, which OpenRLHF would use in its loss. It has no place for a tie.
    """
    row = preference(labelled)
    assert not row["tie"], "a tie has no chosen answer"
    return {name: row[name] for name in ("prompt", "chosen", "rejected", "p", "id")}


def verl(labelled: Labelled, index: int) -> Row:
    """A prompt of verl's RLHF data set; the answers ride along in `extra_info`.

    `ground_truth` is the chosen answer, empty at a tie. With `style: model` no rule reads it.
    """
    row, prompt = preference(labelled), labelled.comparison.prompt
    chosen, rejected = (row[side][0]["content"] for side in ("chosen", "rejected"))
    return {
        "data_source": SOURCE,
        "prompt": row["prompt"],
        "ability": "alignment",
        "reward_model": {"style": "model", "ground_truth": "" if row["tie"] else chosen},
        "extra_info": {
            "split": prompt.split,
            "index": index,
            "id": row["id"],
            "kind": prompt.kind,
            "category": prompt.category,
            "chosen": chosen,
            "rejected": rejected,
            "p": row["p"],
            "tie": row["tie"],
        },
    }


def demonstration(record: Demonstration) -> Row:
    """A text to imitate, as `messages` of a chat: SFT data of TRL, OpenRLHF and verl alike."""
    return {
        "messages": [*_messages(record.prompt.messages), *_answer(record.answer)],
        "id": record.id,
        "kind": record.prompt.kind,
        "source": record.source,
        "chain": record.chain,
        "model": record.origin.model,
        "constitution": record.origin.constitution,
    }


def _verdict(labelled: Labelled) -> Verdict:
    assert isinstance(labelled.label, Verdict), "an abstention prefers nothing"
    return labelled.label


def _without_texts(labelled: Labelled) -> Labelled:
    comparison: Comparison = labelled.comparison
    prompt = replace(comparison.prompt, messages=())
    return replace(labelled, comparison=replace(comparison, prompt=prompt, a="", b=""))


def _messages(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in messages]


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]
