"""Random LoRA adapters as PEFT saves them, and what they make of a checkpoint, in NumPy."""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tests.support.reference import load_weights

Array = NDArray[Any]
EMBEDDING = "transformer.embedding.word_embeddings"
OUTPUT = "transformer.output_layer"
LAYER_MODULES = (
    "self_attention.query_key_value",
    "self_attention.dense",
    "mlp.dense_h_to_4h",
    "mlp.dense_4h_to_h",
)
CONFIG: dict[str, Any] = {
    "alpha_pattern": {},
    "auto_mapping": None,
    "base_model_name_or_path": "THUDM/chatglm3-6b",
    "bias": "none",
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_lora_weights": True,
    "layers_pattern": None,
    "layers_to_transform": None,
    "lora_alpha": 16,
    "lora_dropout": 0.1,
    "modules_to_save": None,
    "peft_type": "LORA",
    "r": 8,
    "rank_pattern": {},
    "revision": None,
    "target_modules": ["query_key_value"],
    "task_type": "CAUSAL_LM",
    "use_rslora": False,
}


@dataclass
class Adapter:
    """A folder, and the full-size change of each module's weight in float64 at scale 1."""

    folder: Path
    changes: dict[str, Array] = field(default_factory=dict)


def layer_modules(num_layers: int, kinds: Sequence[str] = LAYER_MODULES) -> list[str]:
    return [
        f"transformer.encoder.layers.{layer}.{kind}"
        for layer in range(num_layers)
        for kind in kinds
    ]


def make_adapter(
    folder: Path,
    checkpoint: Path,
    modules: Sequence[str],
    *,
    ranks: Sequence[int] = (8,),
    alphas: Sequence[float] = (16,),
    seed: int = 0,
    dtype: str = "float32",
    std: float = 0.02,
    **config: Any,
) -> Adapter:
    """Write a random adapter for ``modules``, which get ``ranks`` and ``alphas`` in turn."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    weights = load_weights(checkpoint)
    adapter, tensors = Adapter(folder), {}
    rank_pattern, alpha_pattern = {}, {}
    for index, module in enumerate(modules):
        rank, alpha = ranks[index % len(ranks)], alphas[index % len(alphas)]
        rank_pattern[module], alpha_pattern[module] = rank, alpha
        shape = weights[f"{module}.weight"].shape
        num_outputs, num_inputs = shape[::-1] if module == EMBEDDING else shape
        a = rng.normal(size=(rank, num_inputs)).astype(dtype)
        b = rng.normal(scale=std, size=(num_outputs, rank)).astype(dtype)
        names = ("embedding_A", "embedding_B") if module == EMBEDDING else ("A.weight", "B.weight")
        for name, values in zip(names, (a, b), strict=True):
            tensors[f"base_model.model.{module}.lora_{name}"] = values
        scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
        change = scale * (b.astype(np.float64) @ a.astype(np.float64))
        adapter.changes[module] = change.T if module == EMBEDDING else change
    patterns: dict[str, Any] = {"r": ranks[0], "lora_alpha": alphas[0]}
    if len(ranks) > 1 or len(alphas) > 1:
        patterns |= {"rank_pattern": rank_pattern, "alpha_pattern": alpha_pattern}
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | patterns | config), "utf-8")
    save_file(tensors, folder / "adapter_model.safetensors")
    return adapter


def merged(checkpoint: Path, folder: Path, adapters: Sequence[tuple[Adapter, float]]) -> Path:
    """A copy of ``checkpoint``, in float32, with ``adapters`` in its weights at their scales."""
    shutil.copytree(checkpoint, folder)
    for path in folder.glob("*.safetensors"):
        weights = load_weights_of(path)
        for adapter, scale in adapters:
            for module, change in adapter.changes.items():
                if (name := f"{module}.weight") in weights:
                    exact = weights[name].astype(np.float64) + scale * change
                    weights[name] = exact.astype(np.float32)
        save_file(weights, path)
    return folder


def load_weights_of(path: Path) -> dict[str, Array]:
    """A file's float16 or float32 tensors, in float32."""
    return {name: values.astype(np.float32) for name, values in load_file(path).items()}


def add_tensors(folder: Path, tensors: dict[str, Array]) -> None:
    """Add what else an adapter folder may hold."""
    path = folder / "adapter_model.safetensors"
    save_file(load_file(path) | tensors, path)
