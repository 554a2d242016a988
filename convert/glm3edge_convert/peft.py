"""LoRA adapters as PEFT saves them: adapter_config.json and adapter_model.safetensors in a folder.

For a matrix W of the model, (outputs, inputs), an adapter has A, (rank, inputs), and B, (outputs,
rank), and stands for W + scale x B A. `scale` is lora_alpha / r, with `use_rslora` lora_alpha /
sqrt(r); `rank_pattern` and `alpha_pattern` set r and lora_alpha of single modules. Tensors are
named `base_model.model.<module>.lora_A.weight`. An adapted embedding has A and B for its transpose:
`lora_embedding_A` is (rank, tokens) and `lora_embedding_B` (width, rank)
(https://huggingface.co/docs/peft/developer_guides/checkpoint).

What an adapter may hold besides is refused by name, as are adapters that were trained on other
weights than the model's.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glm3edge_convert._config import count, positive
from glm3edge_convert._json import read_object
from glm3edge_convert.errors import (
    AdapterTensorError,
    ConfigError,
    NotAnAdapterError,
    UnsupportedAdapterError,
)
from glm3edge_convert.source import INDEX_SUFFIX, open_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from glm3edge_convert.source import SourceTensor

CONFIG_FILE = "adapter_config.json"
WEIGHT_FILES = ("adapter_model.safetensors", "adapter_model.bin")
PREFIX = "base_model.model."
MATRIX = re.compile(
    r"(?P<module>.+)\.lora_(?P<embedding>embedding_)?(?P<letter>[AB])(\.default)?(\.weight)?"
)

REFUSED = {
    "use_dora": "DoRA scales every row of the matrix",
    "use_qalora": "QALoRA pools the inputs in groups",
    "lora_bias": "it adds biases",
    "modules_to_save": "whole modules are replaced",
    "trainable_token_indices": "rows of the embedding are replaced",
    "layer_replication": "the model has other layers",
    "alora_invocation_tokens": "the adapter is on for a part of the prompt only",
}
"""Options that mean more than W + scale x B A, and what they mean."""
KEEPING_INITS = {True, False, "gaussian", "eva", "orthogonal"}
"""Values of init_lora_weights that leave the model's own weights as they are."""


@dataclass(frozen=True)
class LoraPair:
    """A and B of one module; `a` is (rank, inputs), `b` (outputs, rank).

    For an embedding the inputs are tokens.
    """

    module: str
    a: SourceTensor
    b: SourceTensor
    scale: float
    is_embedding: bool = False

    @property
    def rank(self) -> int:
        return self.a.shape[0]

    @property
    def num_inputs(self) -> int:
        return self.a.shape[1]

    @property
    def num_outputs(self) -> int:
        return self.b.shape[0]

    @property
    def weight_shape(self) -> tuple[int, int]:
        """The shape of the checkpoint's tensor that the pair changes."""
        shape = self.num_outputs, self.num_inputs
        return shape[::-1] if self.is_embedding else shape


def is_adapter(folder: Path) -> bool:
    """Whether `folder` is one that PEFT saved an adapter to."""
    return (folder / CONFIG_FILE).is_file()


def open_adapter(folder: Path) -> list[LoraPair]:
    """The pairs of an adapter folder, in the order of their names; reads headers, no data.

    Raises NotAnAdapterError, UnsupportedAdapterError, CheckpointError, and MissingLibraryError for
    `.bin` weights without torch.
    """
    config = _read_config(folder)
    path = folder / CONFIG_FILE
    _check_supported(path, config)
    tensors = open_tensors(folder, WEIGHT_FILES)
    halves: dict[str, dict[str, SourceTensor]] = {}
    embeddings = set()
    for name, tensor in tensors.items():
        match = MATRIX.fullmatch(name)
        if match is None or not name.startswith(PREFIX):
            raise AdapterTensorError(
                tensor.path, name, "is no LoRA matrix (lora_A or lora_B of a module of the model)"
            )
        module = match["module"].removeprefix(PREFIX)
        halves.setdefault(module, {})[match["letter"]] = tensor
        if match["embedding"]:
            embeddings.add(module)
    if not halves:
        raise NotAnAdapterError(folder, "its weights are empty")
    return [
        _pair(path, config, module, halves[module], is_embedding=module in embeddings)
        for module in sorted(halves)
    ]


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise NotAnAdapterError(folder, "there is no such folder")
    if not is_adapter(folder):
        raise NotAnAdapterError(folder, f"{CONFIG_FILE} is missing")
    files = [name + suffix for name in WEIGHT_FILES for suffix in ("", INDEX_SUFFIX)]
    if not any((folder / name).is_file() for name in files):
        raise NotAnAdapterError(folder, f"it has no {' or '.join(WEIGHT_FILES)}")
    return read_object(folder / CONFIG_FILE)


def _check_supported(path: Path, config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise UnsupportedAdapterError(path, "peft_type", kind, "only LORA adapters are known")
    for key, meaning in REFUSED.items():
        if config.get(key):
            raise UnsupportedAdapterError(path, key, config[key], meaning)
    bias = config.get("bias", "none")
    if bias != "none":
        raise UnsupportedAdapterError(path, "bias", bias, "it changes biases")
    init = config.get("init_lora_weights", True)
    if not (init is None or (isinstance(init, bool | str) and init in KEEPING_INITS)):
        raise UnsupportedAdapterError(
            path, "init_lora_weights", init, "training began by changing the model's own weights"
        )


def _pair(
    path: Path,
    config: Mapping[str, Any],
    module: str,
    halves: Mapping[str, SourceTensor],
    *,
    is_embedding: bool,
) -> LoraPair:
    for tensor in halves.values():
        if len(halves) < 2:
            other = "lora_B" if "A" in halves else "lora_A"
            raise AdapterTensorError(tensor.path, tensor.name, f"has no {other} beside it")
        if len(tensor.shape) != 2 or 0 in tensor.shape:
            raise AdapterTensorError(tensor.path, tensor.name, "is no matrix")
    a, b = halves["A"], halves["B"]
    rank = count(path, _for_module(path, config, "rank_pattern", "r", module), "r")
    for tensor, found in ((a, a.shape[0]), (b, b.shape[1])):
        if found != rank:
            raise AdapterTensorError(
                tensor.path, tensor.name, f"has rank {found} where {CONFIG_FILE} says {rank}"
            )
    return LoraPair(module, a, b, _scale(path, config, module, rank), is_embedding)


def _scale(path: Path, config: Mapping[str, Any], module: str, rank: int) -> float:
    options = _for_module(path, config, "alpha_pattern", "lora_alpha", module)
    alpha = positive(path, options, "lora_alpha", default=8)  # PEFT's own default
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _for_module(
    path: Path, config: Mapping[str, Any], pattern_key: str, key: str, module: str
) -> Mapping[str, Any]:
    """`config`, with the value of `key` that the first fitting pattern of `pattern_key` has."""
    patterns = config.get(pattern_key) or {}
    if not isinstance(patterns, dict):
        raise ConfigError(path, pattern_key, "must map names of modules to numbers")
    for pattern, value in patterns.items():
        try:
            if re.fullmatch(rf"(.*\.)?({pattern})", module):
                return {**config, key: value}
        except re.error as exc:
            problem = f"has a pattern that cannot be read: {pattern!r}"
            raise ConfigError(path, pattern_key, problem) from exc
    return config
