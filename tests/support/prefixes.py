"""Random P-Tuning v2 checkpoints, and the keys and values they stand for, in NumPy."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Array = NDArray[Any]
ENCODER = "transformer.prefix_encoder."
EMBEDDING = f"{ENCODER}embedding.weight"


@dataclass
class Prefix:
    """A folder, and each layer's keys and values, (places, groups, kv_channels)."""

    folder: Path
    states: list[tuple[Array, Array]]


def make_prefix(
    folder: Path,
    checkpoint: Path,
    *,
    num_places: int = 8,
    projection: bool = False,
    seed: int = 0,
    dtype: str = "float32",
    std: float = 1.0,
    **config: Any,
) -> Prefix:
    """Write what P-Tuning v2 of the model ``checkpoint`` saves, with random values."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    model = json.loads((checkpoint / "config.json").read_text("utf-8"))
    layers, groups, size = (
        model[key] for key in ("num_layers", "multi_query_group_num", "kv_channels")
    )
    width, hidden = layers * 2 * groups * size, model["hidden_size"]
    tensors = {EMBEDDING: rng.normal(scale=std, size=(num_places, width)).astype(dtype)}
    rows = tensors[EMBEDDING].astype(np.float64)
    if projection:
        for name, shape in (("0", (hidden, width)), ("2", (width, hidden))):
            weight = rng.normal(scale=std / np.sqrt(shape[1]), size=shape).astype(dtype)
            bias = rng.normal(scale=0.3, size=shape[0]).astype(dtype)
            tensors[f"{ENCODER}trans.{name}.weight"] = weight
            tensors[f"{ENCODER}trans.{name}.bias"] = bias
            rows = rows @ weight.astype(np.float64).T + bias.astype(np.float64)
            rows = np.tanh(rows) if name == "0" else rows
    save_file(tensors, folder / "model.safetensors")
    more = {"pre_seq_len": num_places, "prefix_projection": projection}
    (folder / "config.json").write_text(json.dumps(model | more | config), "utf-8")
    parts = rows.reshape(num_places, layers, 2, groups, size)
    return Prefix(folder, [(parts[:, layer, 0], parts[:, layer, 1]) for layer in range(layers)])
