"""How large a model is, without loading it and without a network.

Owns reading a size from a model's configuration, from the recipe, or from the model's name. The
name is the last resort, and what comes of it says so.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from charter.errors import RecipeError
from charter.models import embedded
from charter.plan import ShapeConfig
from charter.recipe import Recipe
from charter.records import Record

BILLION, MILLION = 1e9, 1e6
_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)([BM])(?![a-z0-9])", re.IGNORECASE)
_TYPICAL = (  # parameters, layers, width, key-value width, vocabulary of usual models of the size
    (0.135e9, 30, 576, 192, 49_152),
    (0.36e9, 32, 960, 320, 49_152),
    (1.7e9, 24, 2048, 2048, 49_152),
    (3e9, 36, 2048, 512, 128_256),
    (8e9, 32, 4096, 1024, 128_256),
    (14e9, 40, 5120, 1024, 152_064),
    (32e9, 64, 5120, 1024, 152_064),
    (70e9, 80, 8192, 1024, 128_256),
)


class ModelShape(Record, frozen=True):
    """What memory and time follow from."""

    parameters: float
    layers: int
    width: int
    kv_width: int
    vocabulary: int
    source: str
    """Where the size comes from: `files`, `recipe` or `name`."""

    @property
    def ffn_width(self) -> float:
        """Inner width of a block's three-matrix feed-forward part, from the number of weights."""
        tables = self.vocabulary * self.width
        block = max(0.0, self.parameters - tables) / self.layers
        return max(
            self.width, (block - 2 * self.width * (self.width + self.kv_width)) / 3 / self.width
        )

    def adapter(self, rank: int, last_layers: int) -> float:
        """Weights of a low-rank adapter on all seven matrices of the chosen blocks."""
        d, k, f = self.width, self.kv_width, self.ffn_width
        a_block = 2 * (d + d) + 2 * (d + k) + 3 * (d + f)
        return rank * a_block * (min(last_layers, self.layers) or self.layers)


def shape_of(recipe: Recipe) -> ModelShape:
    """The size of the model that a recipe aligns.

    Raises:
        RecipeError: neither files nor recipe nor name tell it.
    """
    stated = recipe.plan.shape
    if stated is not None:
        return _stated(stated)
    config = local_config(recipe.model)
    if config is not None:
        return _from_config(config)
    return from_name(recipe.model)


def is_here(name: str) -> bool:
    """Whether a model can be loaded without a network: the embedded one, or a folder."""
    return name == embedded.NAME or Path(name).is_dir()


def local_config(name: str) -> dict[str, Any] | None:
    """The configuration of a model, if it lies on this machine."""
    if name == embedded.NAME:
        return _EMBEDDED
    file: Any = Path(name) / "config.json"
    if not file.is_file():
        file = None if Path(name).is_absolute() else _cached(name)
    return None if file is None else _read(Path(file))


def from_name(name: str) -> ModelShape:
    """The size that a name such as `org/Model-8B-Instruct` states, with the shape usual for it.

    Raises:
        RecipeError: the name states no size.
    """
    sizes = _SIZE.findall(name.rpartition("/")[2])
    if not sizes:
        raise RecipeError(
            f"model {name!r} is not on this machine, and its name states no size",
            field="plan.shape",
            expected="its size",
        )
    number, unit = sizes[-1]
    parameters = float(number) * (BILLION if unit.upper() == "B" else MILLION)
    nearest = min(_TYPICAL, key=lambda known: abs(known[0] / parameters - parameters / known[0]))
    return ModelShape(parameters, *nearest[1:], source="name")


def _stated(shape: ShapeConfig) -> ModelShape:
    parameters = shape.parameters * BILLION
    sizes = (shape.layers, shape.width, shape.kv_width, shape.vocabulary)
    return ModelShape(parameters, *sizes, source="recipe")


_EMBEDDED: dict[str, Any] = {
    "num_hidden_layers": 30,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49_152,
    "tie_word_embeddings": True,
}


def _from_config(config: dict[str, Any]) -> ModelShape:
    """Weights counted from the sizes that Llama-like models state."""
    config = {**config, **config.get("text_config", {})}
    d, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
    heads = int(config.get("num_attention_heads") or 1)
    head = int(config.get("head_dim") or d // heads)
    kv = head * int(config.get("num_key_value_heads") or heads)
    ffn = int(config.get("intermediate_size") or 4 * d)
    vocabulary = int(config["vocab_size"])
    tables = vocabulary * d * (1 if config.get("tie_word_embeddings", True) else 2)
    block = 2 * d * heads * head + 2 * d * kv + 3 * d * ffn + 2 * d
    return ModelShape(tables + layers * block + d, layers, d, kv, vocabulary, "files")


def _cached(name: str) -> Path | None:
    """The file in the hub's cache; looking there needs no network."""
    try:
        found = try_to_load_from_cache(name, "config.json")
    except ValueError:  # no name that a hub could know
        return None
    return Path(found) if isinstance(found, str) else None


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    complete = isinstance(found, dict) and {"vocab_size", "hidden_size"} <= found.keys()
    return found if complete else None


EMBEDDED_SHAPE = _from_config(_EMBEDDED)
"""Of the model that ships, whose vocabulary head is its embedding."""
