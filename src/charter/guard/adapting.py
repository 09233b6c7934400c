"""An adapter that makes a model read for harm, below the linear heads of the kind `readout`.

    DIR/adapter/   LoRA in half precision, to be merged into the model that the guard reads with,
                   and the score head that it was trained with

Owns training it and writing it small, and which rows are left for the heads: activations of rows
that the adapter has learned by heart would make the heads far too sure. Nothing that serves imports
this module.

Shape suffixes: D hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model_state_dict
from safetensors.torch import save_file

from charter.errors import InputError
from charter.guard.examples import GuardExample
from charter.guard.fitting import Report
from charter.guard.readout_guard import ADAPTER, SCORE
from charter.guard.training_rows import TrainingRows
from charter.guard.values import tuned
from charter.models import hf
from charter.records import Checkpoint, digest
from charter.seeds import derive
from charter.store import write_atomic
from charter.training.policy import sort_lists
from charter.training.quiet import quiet
from charter.training.settings import TrainSettings

_WEIGHTS = "adapter_model.safetensors"
_KEY = "key"
"""File that says what an adapter was made of."""


@dataclass(frozen=True, slots=True)
class Divided:
    """Rows that the adapter learns from, and those that the heads are fitted and tested on."""

    adapter: tuple[GuardExample, ...]
    heads: TrainingRows


def divided(rows: TrainingRows, share: float, answers: float = 0.0) -> Divided:
    """Give the adapter its part; what was made of one base goes to one side.

    Args:
        rows: all of them; those held out stay held out.
        share: of the prompts that the adapter learns from.
        answers: the same of the answers.
    """

    def learned(row: GuardExample) -> bool:
        part = answers if row.answer else share
        return derive("adapter", row.base) % 1000 < 1000 * part

    both = (*rows.prompts, *rows.answers)
    prompts, answers_left = (
        tuple(r for r in part if not learned(r)) for part in (rows.prompts, rows.answers)
    )
    heads = TrainingRows(prompts, answers_left, rows.prompts_held_out, rows.answers_held_out)
    return Divided(tuple(row for row in both if learned(row)), heads)


@quiet()
def adapt(
    examples: tuple[GuardExample, ...],
    model: str,
    out: Path,
    settings: TrainSettings,
    *,
    report: Report = lambda *_: None,
) -> Path:
    """Train an adapter and write it to the guard's folder; one that is there already is kept.

    Args:
        examples: to learn from.
        model: name of the model, as `hf.load` takes it.
        out: folder of the guard to be.
        settings: see `TrainSettings`.
        report: told of the progress.

    Returns:
        the adapter's folder.

    Raises:
        InputError: no rank was given, and a whole model is no adapter.
        ModelError: the model is missing, or has no form with a score head.
        TrainingError: training diverged.
    """
    if settings.lora_rank == 0:
        raise InputError("0 trains all weights", field="lora_rank", expected="a rank from 1 on")
    folder = out / ADAPTER
    base = hf.load(model, plain=True)
    key = digest([base.identity, settings, examples])
    if (folder / _KEY).exists() and (folder / _KEY).read_text() == key:
        return folder
    (folder / _KEY).unlink(missing_ok=True)
    net = tuned(examples, base, settings, out, job=Checkpoint(model), report=report).net
    assert isinstance(net, PeftModel)
    folder.mkdir(parents=True, exist_ok=True)
    state = get_peft_model_state_dict(net)
    half = {
        name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in state.items()
        if "lora_" in name
    }
    save_file(half, folder / _WEIGHTS)
    (score_D,) = (value for name, value in state.items() if name.endswith("score.weight"))
    save_file({"weight": score_D.detach().to("cpu", torch.float32)[0]}, folder / SCORE)
    config = net.peft_config[net.active_adapter]
    assert isinstance(config, LoraConfig)
    # As it is loaded: into a language model, whose blocks have the same names.
    replace(config, task_type=TaskType.CAUSAL_LM, modules_to_save=None).save_pretrained(str(folder))
    sort_lists(folder / "adapter_config.json")
    write_atomic(folder / _KEY, key.encode())
    return folder
