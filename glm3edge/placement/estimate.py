"""Estimate: memory by device in arithmetic, which thousands of placements can be compared by.

Weights are the file's own sizes; keys and values are a layer's, times the layers. What a batch
takes depends on llama.cpp's graph, and hardly on how many layers are where: it is read off one
account of each kind of placement.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU
from glm3edge.llama.gguf_file import tensor_sizes
from glm3edge.placement.layers import (
    device_of_tensor,
    devices_of_layers,
    is_output,
    layer_of,
    num_layers_of,
)
from glm3edge.placement.memory_usage import DeviceMemoryUsage, MemoryUsage

Measure = Callable[[Placement], MemoryUsage]
"""llama.cpp's account of a placement."""


_OUTPUT = "output.weight"


class _Kind(NamedTuple):
    """What decides of the compute buffers, nearly: over which devices the graph is cut, and how."""

    devices: tuple[str, ...]
    is_whole: bool  # nothing but the input is left to the CPU
    is_output_alone: bool  # on its device
    is_output_on_cpu: bool  # its matrix, that is
    has_overrides: bool
    kv_on_gpu: bool


class Estimator:
    """Accounts by arithmetic, for one file and one context.

    Attributes:
        tensors: bytes of each tensor.
        num_layers: the output not counted.
        layer_bytes: weights of each layer.
        kv_bytes: of a layer's keys and values.
        measure: what accounts are taken with.
    """

    def __init__(self, path: Path, measure: Measure) -> None:
        """Read the file's tensors, and one account: all on the CPU.

        Raises:
            ModelError: it is no model.
        """
        self.measure = measure
        self.tensors = tensor_sizes(path)
        self.num_layers = num_layers_of(self.tensors)
        self.layer_bytes = [0] * self.num_layers
        for tensor, size in self.tensors.items():
            if (layer := layer_of(tensor)) is not None:
                self.layer_bytes[layer] += size
        on_cpu = measure(ON_CPU)
        self.kv_bytes = on_cpu[CPU].keys_values // max(self.num_layers, 1)
        self._logits_bytes = on_cpu[CPU].output
        self._compute = dict[_Kind, dict[str, int]]()
        self.correct(ON_CPU, on_cpu)

    def estimate(self, placement: Placement) -> MemoryUsage:
        """What is needed where, to a per cent or two. The shares of devices have to be given.

        The first placement of a kind costs an account.
        """
        compute = self.compute(placement)
        return MemoryUsage(
            tuple(
                replace(device, compute=compute.get(device.device, 0))
                for device in self._without_compute(placement).devices
            )
        )

    def compute(self, placement: Placement) -> dict[str, int]:
        """Bytes that a batch takes on each device, from the first placement of this kind."""
        kind = self._kind(placement)
        if kind not in self._compute:
            self.correct(placement, self.measure(placement))
        return self._compute[kind]

    def correct(
        self, placement: Placement, account: MemoryUsage, *, never_less: bool = False
    ) -> None:
        """Let this placement's estimate be as this account of it, and all of its kind alike.

        With ``never_less``, only where that is more than before.
        """
        kind, known = self._kind(placement), self._without_compute(placement)
        found = {d.device: d.total - known[d.device].total for d in account.devices}
        if never_less:
            before = self._compute.get(kind, {})
            found = {device: max(size, before.get(device, 0)) for device, size in found.items()}
        self._compute[kind] = found

    def _without_compute(self, placement: Placement) -> MemoryUsage:
        layers = devices_of_layers(placement, self.num_layers)
        weights, keys_values = Counter[str](), Counter[str]()
        for tensor, size in self.tensors.items():
            weights[device_of_tensor(tensor, placement, layers)] += size
        for device in layers[:-1]:
            keys_values[device if placement.kv_on_gpu else CPU] += self.kv_bytes
        return MemoryUsage(
            tuple(
                DeviceMemoryUsage(
                    device,
                    weights=weights[device],
                    keys_values=keys_values[device],
                    output=self._logits_bytes if device == CPU else 0,
                )
                for device in (CPU, *placement.devices)
            )
        )

    def output_bytes(self, *, is_on_device: bool) -> int:
        """Weights of the output, or what of them cannot be left to the CPU."""
        return sum(
            size
            for tensor, size in self.tensors.items()
            if is_output(tensor) and (is_on_device or tensor != _OUTPUT)
        )

    def _kind(self, placement: Placement) -> _Kind:
        layers = devices_of_layers(placement, self.num_layers)
        return _Kind(
            devices=tuple(device for device in placement.devices if device in layers),
            is_whole=CPU not in layers,
            is_output_alone=layers[-1] not in layers[:-1],
            is_output_on_cpu=device_of_tensor(_OUTPUT, placement, layers) == CPU,
            has_overrides=bool(placement.overrides),
            kv_on_gpu=placement.kv_on_gpu,
        )
