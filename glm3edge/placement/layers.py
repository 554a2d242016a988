"""Devices of layers and tensors by llama.cpp's rules (llama_model::load_tensors)."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from glm3edge.llama.device_placement import Placement
from glm3edge.llama.devices import CPU

_LAYER = re.compile(r"blk\.(\d+)\.")
_OUTPUT = re.compile(r"output(_norm)?\.")


def num_layers_of(tensors: Mapping[str, int]) -> int:
    """Number of layers of a model with these tensors, the output not counted."""
    return 1 + max((n for name in tensors if (n := layer_of(name)) is not None), default=-1)


def layer_of(tensor: str) -> int | None:
    """Layer of a tensor, None for those of the input and the output."""
    match = _LAYER.match(tensor)
    return int(match[1]) if match else None


def is_output(tensor: str) -> bool:
    """Whether a tensor belongs to the output."""
    return _OUTPUT.match(tensor) is not None


def devices_of_layers(placement: Placement, num_layers: int) -> list[str]:
    """Device of each layer; the last is the output's.

    Several devices need a tensor split: without one, llama.cpp goes by their free memory.
    """
    num_all = num_layers + 1
    wanted = placement.num_gpu_layers
    num_moved = min(num_all if wanted < 0 else wanted, num_all) if placement.devices else 0
    moved = _moved(placement, num_moved)
    return [CPU] * (num_all - num_moved) + moved


def device_of_tensor(tensor: str, placement: Placement, layers: Sequence[str]) -> str:
    """Device of a tensor; ``layers`` are those of ``devices_of_layers()``."""
    for pattern, device in placement.overrides:
        if re.search(pattern, tensor):
            return device
    layer = layer_of(tensor)
    if layer is not None:
        return layers[layer]
    return layers[-1] if is_output(tensor) else CPU


def copied_bytes(tensors: Mapping[str, int], placement: Placement) -> int:
    """Bytes of the largest matrix of the layers and the output that is left to the CPU.

    A GPU takes as much to compute large batches with it: ggml's scheduler copies one such matrix
    at a time (ggml_backend_sched_split_graph begins a new split at each).
    """
    layers = devices_of_layers(placement, num_layers_of(tensors))
    left = (
        size
        for tensor, size in tensors.items()
        if (layer_of(tensor) is not None or is_output(tensor))
        and device_of_tensor(tensor, placement, layers) == CPU
    )
    return max(left, default=0)


def _moved(placement: Placement, num_moved: int) -> list[str]:
    """Devices of the offloaded layers, from the first to the output; in float32 as llama.cpp."""
    if placement.main_gpu is not None:
        return [placement.devices[placement.main_gpu]] * num_moved
    shares = placement.tensor_split or (1.0,) * len(placement.devices)
    ends = np.cumsum(np.array(shares, np.float32), dtype=np.float32)
    positions = np.arange(num_moved, dtype=np.float32) / np.float32(num_moved or 1)
    indices = np.searchsorted(ends / ends[-1], positions, side="right") if num_moved else []
    return [placement.devices[index] for index in indices]
