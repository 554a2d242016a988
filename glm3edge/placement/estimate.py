"""Estimates of memory by device, by arithmetic: fast enough to compare thousands of placements.

Weights are the file's own sizes; keys and values are a layer's, times the layers. A batch's compute
buffers depend on llama.cpp's graph, and hardly on how many layers are where: they are taken from
one measurement of each kind of placement.
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
"""Measurement of a placement's memory usage by llama.cpp."""

_OUTPUT = "output.weight"


class _Kind(NamedTuple):
    """Kind of a placement: how it splits the graph, which decides the compute buffers, nearly."""

    devices: tuple[str, ...]
    is_whole: bool  # nothing but the input is left to the CPU
    is_output_alone: bool  # on its device
    is_output_on_cpu: bool  # its matrix, that is
    has_overrides: bool
    kv_on_gpu: bool


class Estimator:
    """Estimator of memory usage for one file and one context.

    Attributes:
        tensors: bytes of each tensor.
        num_layers: number of layers, the output not counted.
        layer_bytes: bytes of each layer's weights.
        kv_bytes: bytes of a layer's keys and values.
        measure: measures a placement.
    """

    def __init__(self, path: Path, measure: Measure) -> None:
        """Read the file's list of tensors, and measure it with all on the CPU.

        Raises:
            ModelError: the file is no model.
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
        self._on_cpu = on_cpu[CPU]
        self._compute = dict[_Kind, dict[str, int]]()
        self.correct(ON_CPU, on_cpu)

    def estimate(self, placement: Placement) -> MemoryUsage:
        """Memory usage of a placement, to a per cent or two. Its tensor split has to be given.

        The first placement of a kind is measured.
        """
        compute = self.compute(placement)
        return MemoryUsage(
            tuple(
                replace(device, compute=compute.get(device.device, 0))
                for device in self._without_compute(placement).devices
            )
        )

    def compute(self, placement: Placement) -> dict[str, int]:
        """Bytes of a batch's buffers on each device, from the first placement of this kind."""
        kind = self._kind(placement)
        if kind not in self._compute:
            self.correct(placement, self.measure(placement))
        return self._compute[kind]

    def correct(
        self, placement: Placement, usage: MemoryUsage, *, never_less: bool = False
    ) -> None:
        """Correct the estimates of a placement's kind by its measured usage.

        ``never_less`` only raises them.
        """
        kind, estimate = self._kind(placement), self._without_compute(placement)
        found = {d.device: d.total - estimate[d.device].total for d in usage.devices}
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
                    output=self._on_cpu.output if device == CPU else 0,
                    states=self._on_cpu.states if device == CPU else 0,
                )
                for device in (CPU, *placement.devices)
            )
        )

    def output_bytes(self, *, is_on_device: bool) -> int:
        """Bytes of the output's weights, or of those that cannot be left to the CPU."""
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
