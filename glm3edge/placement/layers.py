"""Which device a layer or a tensor goes to, by llama.cpp's rules (llama_model::load_tensors)."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from glm3edge.llama.device_placement import Placement
from glm3edge.llama.devices import CPU

_LAYER = re.compile(r"blk\.(\d+)\.")
_OUTPUT = re.compile(r"output(_norm)?\.")


def num_layers_of(tensors: Mapping[str, int]) -> int:
    """How many layers a model with these tensors has, the output not counted."""
    return 1 + max((n for name in tensors if (n := layer_of(name)) is not None), default=-1)


def layer_of(tensor: str) -> int | None:
    """The layer that a tensor belongs to, None for those of the input and the output."""
    match = _LAYER.match(tensor)
    return int(match[1]) if match else None


def is_output(tensor: str) -> bool:
    """Whether a tensor is one of the output's."""
    return _OUTPUT.match(tensor) is not None


def devices_of_layers(placement: Placement, num_layers: int) -> list[str]:
    """The device of each layer; the last is the output's.

    The shares of several devices have to be given: without, llama.cpp goes by their free memory.
    """
    num_all = num_layers + 1
    wanted = placement.num_gpu_layers
    num_moved = min(num_all if wanted < 0 else wanted, num_all) if placement.devices else 0
    moved = _moved(placement, num_moved)
    return [CPU] * (num_all - num_moved) + moved


def device_of_tensor(tensor: str, placement: Placement, layers: Sequence[str]) -> str:
    """The device of a tensor, with ``devices_of_layers()``."""
    for pattern, device in placement.overrides:
        if re.search(pattern, tensor):
            return device
    layer = layer_of(tensor)
    if layer is not None:
        return layers[layer]
    return layers[-1] if is_output(tensor) else CPU


def copied_bytes(tensors: Mapping[str, int], placement: Placement) -> int:
    """Bytes of the largest matrix that is multiplied with and that the placement leaves to the CPU.

    So much a GPU takes to compute large batches with it: ggml's scheduler copies one such matrix
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
    """The devices of the layers that are moved, from the first to the output; in float32."""
    if placement.main_gpu is not None:
        return [placement.devices[placement.main_gpu]] * num_moved
    shares = placement.tensor_split or (1.0,) * len(placement.devices)
    ends = np.cumsum(np.array(shares, np.float32), dtype=np.float32)
    positions = np.arange(num_moved, dtype=np.float32) / np.float32(num_moved or 1)
    indices = np.searchsorted(ends / ends[-1], positions, side="right") if num_moved else []
    return [placement.devices[index] for index in indices]
