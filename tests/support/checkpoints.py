"""A small random checkpoint, and ways to damage a copy of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from glm3edge_convert.synth.random_checkpoint import Shape
from tests.support.optional import need_module

SMALL = Shape(
    hidden_size=64,
    num_layers=2,
    num_heads=4,
    num_groups=2,
    kv_channels=16,
    ffn_hidden_size=96,
    seq_length=256,
)
MakeCheckpoint = Callable[..., Path]

INDEX = "model.safetensors.index.json"
FIRST_SHARD = "model-00001-of-00002.safetensors"
LAST_SHARD = "model-00002-of-00002.safetensors"
Tensors = dict[str, NDArray[Any]]


def edit_json(path: Path, **changes: object) -> None:
    """Set keys of a JSON file, or remove them where the value is Ellipsis."""
    value = json.loads(path.read_text("utf-8")) | changes
    kept = {key: item for key, item in value.items() if item is not ...}
    path.write_text(json.dumps(kept), "utf-8")


def edit_shard(checkpoint: Path, name: str, edit: Callable[[Tensors], None]) -> None:
    """Edit a shard's tensors in place; the index stays as it is."""
    tensors = load_file(checkpoint / name)
    edit(tensors)
    save_file(tensors, checkpoint / name)


def edit_index(checkpoint: Path, edit: Callable[[dict[str, str]], object]) -> None:
    """Edit the index's map from tensors to files."""
    path = checkpoint / INDEX
    index = json.loads(path.read_text("utf-8"))
    edit(index["weight_map"])
    path.write_text(json.dumps(index), "utf-8")


def load_tensors(checkpoint: Path) -> Tensors:
    """All tensors of a safetensors checkpoint."""
    return {k: v for path in checkpoint.glob("*.safetensors") for k, v in load_file(path).items()}


def merge_shards(checkpoint: Path) -> None:
    """Replace the shards and their index by one model.safetensors."""
    save_file(load_tensors(checkpoint), checkpoint / "model.safetensors")
    for name in (FIRST_SHARD, LAST_SHARD, INDEX):
        (checkpoint / name).unlink()


def reshard(checkpoint: Path, num_shards: int, *, suffix: str = ".safetensors") -> None:
    """Spread the tensors anew, in the order of their names, which is not that of the layers."""
    tensors = load_tensors(checkpoint)
    for path in (checkpoint / INDEX, *checkpoint.glob("*.safetensors")):
        path.unlink()
    stem = "model" if suffix == ".safetensors" else "pytorch_model"
    weight_map: dict[str, str] = {}
    for number in range(num_shards):
        name = f"{stem}-{number + 1:05}-of-{num_shards:05}{suffix}"
        names = sorted(tensors)[number::num_shards]
        _save({key: tensors[key] for key in names}, checkpoint / name)
        weight_map |= dict.fromkeys(names, name)
    index = checkpoint / f"{stem}{suffix}.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}), "utf-8")


def _save(tensors: Tensors, path: Path) -> None:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch = need_module("torch", "torch is not installed, which .bin files need")
        torch.save({name: torch.from_numpy(value) for name, value in tensors.items()}, path)


def set_value(tensors: Tensors, name: str, value: float) -> None:
    """Set one value of a tensor."""
    tensors[name].flat[7] = np.float32(value)


def remove_tensor(checkpoint: Path, shard: str, name: str) -> None:
    """Remove a tensor from its shard and from the index."""
    edit_shard(checkpoint, shard, lambda tensors: _drop(tensors, name))
    edit_index(checkpoint, lambda weight_map: weight_map.pop(name))


def _drop(tensors: Tensors, name: str) -> None:
    del tensors[name]


def truncate(path: Path, num_bytes: int = 100) -> None:
    """Cut bytes off the end of a file."""
    path.write_bytes(path.read_bytes()[:-num_bytes])
