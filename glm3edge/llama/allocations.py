"""Allocations: the memory that llama.cpp takes by buffer, and the devices of layers and tensors."""

import ctypes
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as native

from glm3edge.errors import ModelError
from glm3edge.llama import ggml
from glm3edge.llama.devices import CPU

_LAYER = re.compile(r"layer +(\d+) assigned to device (\S+),")
_MOVED = re.compile(r"tensor (\S+) \(.*\) buffer type overridden to (\S+)")
_SYMBOL = "_Z26llama_get_memory_breakdownPK13llama_context"
_MAX_ENTRIES = 64
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Allocation:
    """Bytes in one kind of buffer.

    Attributes:
        buffer: llama.cpp's name of it, such as ``CPU_Mapped`` or ``CUDA0``.
        device: whose memory it is; the CPU's also for host memory that a GPU's driver reserves.
        weights: of the model.
        context: keys and values.
        compute: scratch memory of a batch.
    """

    buffer: str
    device: str
    weights: int
    context: int
    compute: int

    @property
    def total(self) -> int:
        """Sum of the three."""
        return self.weights + self.context + self.compute


def allocations(context_handle: Any) -> list[Allocation]:
    """Memory of a context and its model by buffer; with ``no_alloc``, what it would take.

    llama.cpp returns it as a C++ map (llama-ext.h), read here as the compiler's library lays it
    out.

    Raises:
        ModelError: the map is not laid out as it is known to be.
    """
    return sorted(
        (_allocation(*entry) for entry in _entries(context_handle)),
        key=lambda allocation: (allocation.device != CPU, allocation.device, allocation.buffer),
    )


def reports_allocations() -> bool:
    """Whether this build of llama.cpp reports the memory it takes."""
    return hasattr(native._lib, _SYMBOL)


def layer_devices(lines: list[str]) -> dict[int, str]:
    """Device of each layer, from the log of loading; the last layer is the output."""
    return {int(match[1]): match[2] for line in lines if (match := _LAYER.search(line))}


def moved_tensors(lines: list[str]) -> dict[str, str]:
    """Tensors that are not with their layer and their buffers, from the log of loading."""
    return {match[1]: match[2] for line in lines if (match := _MOVED.search(line))}


def describe(layers: dict[int, str], found: Sequence[Allocation]) -> list[str]:
    """A line for each device, with its layers and the memory they take."""
    output = max(layers, default=0)
    lines = []
    for name in sorted({*layers.values(), *(a.device for a in found)}, key=lambda n: (n != CPU, n)):
        numbers = [number for number, device in layers.items() if device == name]
        parts = [f"layers {spans}"] if (spans := _spans(set(numbers) - {output})) else []
        parts += ["output"] if output in numbers else []
        sizes = [
            (sum(a.weights for a in found if a.device == name), "weights"),
            (sum(a.context for a in found if a.device == name), "keys and values"),
            (sum(a.compute for a in found if a.device == name), "computing"),
        ]
        memory = ", ".join(f"{what} {size / _MIB:,.1f} MiB" for size, what in sizes if size)
        lines.append(f"{name}: {', '.join(parts) or 'no whole layer'}; {memory or 'no memory'}")
    return lines


def _spans(numbers: Iterable[int]) -> str:
    """Numbers as a list of ranges: ``0-3, 7``."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


_IS_LIBCXX = sys.platform == "darwin"


class _Map(ctypes.Structure):
    """std::map, as a function returns it."""

    _fields_ = (("words", ctypes.c_size_t * (3 if _IS_LIBCXX else 6)),)


class _Layout:
    """Offsets of a map's and a node's fields in libc++ or libstdc++, in words."""

    root, count = (1, 2) if _IS_LIBCXX else (2, 5)
    left, right, value = (0, 1, 4) if _IS_LIBCXX else (2, 3, 4)


def _entries(context_handle: Any) -> Iterator[tuple[int, int, int, int]]:
    """Buffer types, with bytes of weights, context and computation."""
    if not reports_allocations():
        raise ModelError("this build of llama.cpp does not report the memory it takes")
    function = native._lib[_SYMBOL]
    function.restype, function.argtypes = _Map, [ctypes.c_void_p]
    words = function(context_handle).words
    count, pending = words[_Layout.count], [words[_Layout.root]]
    if count > _MAX_ENTRIES:
        raise ModelError("llama.cpp's report of its memory is laid out in an unknown way")
    while pending:
        if node := pending.pop():
            if not count:
                raise ModelError("llama.cpp's report of its memory has more entries than it says")
            count -= 1
            words = (ctypes.c_size_t * (_Layout.value + 4)).from_address(node)
            pending += [words[_Layout.left], words[_Layout.right]]
            buffer_type, *sizes = words[_Layout.value :]
            yield buffer_type, sizes[0], sizes[1], sizes[2]


def _allocation(buffer_type: int, weights: int, context: int, compute: int) -> Allocation:
    device = ggml.function("ggml_backend_buft_get_device")(buffer_type)
    if ggml.function("ggml_backend_buft_is_host")(buffer_type):  # such as CUDA_Host
        device = 0
    return Allocation(
        buffer=ggml.text("ggml_backend_buft_name", buffer_type),
        device=ggml.text("ggml_backend_dev_name", device) if device else CPU,
        weights=weights,
        context=context,
        compute=compute,
    )
