"""Policies to train: loading with fresh trainable weights, and saving what was trained.

Owns which weights move (all of them, or an adapter and where it sits) and what lies on disk
afterwards. Knows no data and no loss.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel, set_seed
from transformers.pytorch_utils import Conv1D

from charter.models import hf
from charter.models.frozen import freeze
from charter.models.hf import HFModel
from charter.records import Checkpoint
from charter.store import write_atomic
from charter.training import processes
from charter.training.quiet import quiet
from charter.training.settings import Tuning
from charter.training.shards import State, whole_state


def load_policy(start: Checkpoint, settings: Tuning) -> HFModel:
    """The start model with its adapters merged, and a fresh adapter (or all weights) to train.

    A fresh adapter's second matrix is zero: until the first step it changes nothing.

    Raises:
        ModelError: the start cannot be loaded.
    """
    model = hf.load(start.base, adapters=start.adapters, plain=True)
    assert isinstance(model.net, PreTrainedModel)
    return HFModel(trainable(model.net, settings), model.tokenizer, model.identity)


@quiet()
def trainable(
    net: PreTrainedModel, settings: Tuning, *, task: str = "CAUSAL_LM"
) -> PreTrainedModel | PeftModel:
    """Make the weights that `settings` names require gradients, and no others.

    Args:
        net: the network; it is changed in place.
        settings: rank 0 means all weights.
        task: PEFT's task type; `SEQ_CLS` also trains the score head.
    """
    set_seed(settings.seed)
    if settings.lora_rank == 0:
        return net.requires_grad_(True)
    adapted = get_peft_model(net, adapter_config(net, settings, task=task))
    freeze(adapted)
    return adapted


def adapter_config(
    net: PreTrainedModel, settings: Tuning, *, task: str = "CAUSAL_LM"
) -> LoraConfig:
    """LoRA on every linear layer of the blocks (heads excluded)."""
    blocks = int(net.config.num_hidden_layers)
    last = settings.lora_last_layers
    return LoraConfig(
        task_type=task,
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=linear_names(net),
        layers_to_transform=list(range(max(0, blocks - last), blocks)) if last else None,
    )


def linear_names(net: PreTrainedModel) -> list[str]:
    """Last parts of the names of all linear layers of the backbone, sorted."""
    named = net.base_model.named_modules()
    return sorted({n.rpartition(".")[2] for n, m in named if isinstance(m, nn.Linear | Conv1D)})


def save_policy(model: HFModel, start: Checkpoint, out: Path) -> Checkpoint:
    """Write what was trained to a folder: an adapter upon `start`, or a whole model.

    Of several processes the first one writes, and all return the same record.
    """
    state = whole_state(model.net)

    def write() -> None:
        save_weights(model.net, out, state)
        model.tokenizer.save_pretrained(out)

    processes.written(write)
    return checkpoint_at(out, start, adapter=isinstance(model.net, PeftModel))


def save_weights(net: PreTrainedModel | PeftModel, out: Path, state: State | None = None) -> None:
    """Write an adapter or a whole network, the same bytes for the same weights.

    Args:
        net: what the weights are of.
        out: the folder; made if it is not there.
        state: its weights, if they are cut into shards; see `shards.whole_state`.
    """
    out.mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {} if state is None else {"state_dict": state}
    if not isinstance(net, PeftModel):
        net.save_pretrained(out, **given)
        return
    # "auto" would ask the hub about the base model's vocabulary.
    net.save_pretrained(str(out), save_embedding_layers=False, **given)
    sort_lists(out / "adapter_config.json")


def checkpoint_at(out: Path, start: Checkpoint, *, adapter: bool) -> Checkpoint:
    """The record of a model just saved at `out`."""
    digest = hf.revision(out)
    if adapter:
        return Checkpoint(start.base, (*start.adapters, str(out)), digest)
    return Checkpoint(str(out), (), digest)


def precision(device: torch.device) -> torch.autocast:
    """The arithmetic of training on this device: bfloat16 matrix products on a GPU, else float32.

    Everything compared with a training step (reference log-likelihoods) must run in it too.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16())


def uses_bf16() -> bool:
    """Whether training runs in bfloat16 here."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def sort_lists(path: Path) -> None:
    """Make an adapter's config the same from run to run, and from machine to machine.

    PEFT writes its module names in the order of a hash table, and the folder of the base model,
    which is the checkpoint's business.
    """
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = None
    for name, value in config.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            config[name] = sorted(value)
    write_atomic(path, json.dumps(config, indent=2, sort_keys=True).encode())
