"""Computed memory usage against what llama.cpp really takes, by its own report."""

import itertools
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from gguf import GGUFReader

from glm3edge.llama.child_process import ChildProcess
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU
from glm3edge.placement.memory_usage import (
    ContextParams,
    DeviceMemoryUsage,
    MemoryUsage,
    measure_memory,
)
from glm3edge_convert.models.chatglm.header_only import write_header_only
from glm3edge_convert.models.chatglm.hparams import CHATGLM3_6B
from tests.support.fake_devices import Loaded
from tests.support.planning import close

pytestmark = pytest.mark.slow

SPLITS = {
    "on the CPU": ON_CPU,
    "the output on one": Placement(("RPC0",), 1),
    "some on one": Placement(("RPC0",), 4),
    "all on one": Placement(("RPC0",), -1),
    "all on two": Placement(("RPC0", "RPC1"), 7, tensor_split=(3, 4)),
    "some on two": Placement(("RPC0", "RPC1"), 5, tensor_split=(2, 3)),
    "part of a layer": Placement(
        ("RPC0",), 5, overrides=((r"^blk\.2\.ffn_(up|down)\.", CPU),), tensor_split=(5,)
    ),
    "keys and values on the CPU": Placement(("RPC0",), -1, kv_on_gpu=False),
}
CONTEXTS = [
    ContextParams(*numbers, kv_type)
    for numbers, kv_type in itertools.product(
        [(1024, 128, 49), (4096, 128, 64)], ("f16", "q8_0", "q4_0")
    )
]
_BUFFER = re.compile(r": +(\S+) +(model|KV|compute|output) buffer size = +([\d.]+) MiB")


@cache
def tensors(path: Path) -> dict[str, tuple[int, int, int]]:
    """Of each tensor its place in the file, its bytes, and the values of a row."""
    return {
        tensor.name: (int(tensor.data_offset), int(tensor.n_bytes), int(tensor.shape[0]))
        for tensor in GGUFReader(path).tensors
    }


def mapped_range(path: Path, on_cpu: set[str]) -> int:
    """Bytes of the file from the first of these tensors to the end of the last."""
    found = [tensors(path)[name] for name in on_cpu]
    return max(start + size for start, size, _ in found) - min(start for start, _, _ in found)


def copies(path: Path, placement: Placement, context_params: ContextParams) -> int:
    """Bytes for computing that llama.cpp plans with and then does not take.

    Where all layers are on several devices, batches are pipelined through them, with four copies of
    what one device passes to the next. They are planned beside the rest, and then fit into it.
    """
    if len(placement.devices) < 2:
        return 0
    num_tokens = (
        -(-context_params.batch_size // context_params.num_sequences) * context_params.num_sequences
    )
    return 4 * num_tokens * tensors(path)["token_embd.weight"][2] * 4


def printed(loaded: Loaded, what: str) -> dict[str, float]:
    """Bytes of each buffer that loading printed for weights, keys and values, or computing."""
    found: dict[str, float] = {}
    for line in loaded.lines:
        if (match := _BUFFER.search(line)) and match[2] == what:
            found[match[1]] = found.get(match[1], 0) + float(match[3]) * 2**20
    return found


def check(
    child: ChildProcess, path: Path, placement: Placement, context_params: ContextParams
) -> None:
    expected: MemoryUsage = child.call("measure_memory", path, placement, context_params)
    loaded: Loaded = child.call("load", path, placement, context_params)
    slack = copies(path, placement, context_params)
    buffers = {allocation.buffer: allocation for allocation in loaded.allocations}
    mapped = buffers.get("CPU_Mapped")
    for device in {*(d.device for d in expected.devices), *(a.device for a in loaded.allocations)}:
        mine, real = expected[device], loaded.memory_usage[device]
        assert close(mine.keys_values, real.keys_values), device
        assert close(mine.compute, real.compute, slack=slack), device
        assert mine.compute >= 0.99 * real.compute, device
        if device != CPU:
            assert close(mine.weights, real.weights), device
            assert close(mine.total, real.total, slack=slack), device
    repacked = buffers["CPU_REPACK"].weights if "CPU_REPACK" in buffers else 0
    assert close(expected[CPU].num_repacked, repacked)
    # The CPU maps a piece of the file; what counts is what it uses of that.
    everywhere = replace(placement, overrides=(*placement.overrides, (".", CPU)))
    in_buffers = child.call("load", path, everywhere, context_params, no_alloc=True).moved
    on_cpu = {
        name: size
        for name, (_, size, _) in tensors(path).items()
        if _device(name, placement, loaded.layers) == CPU and in_buffers[name] == CPU
    }
    assert close(expected[CPU].weights - repacked, sum(on_cpu.values()))
    assert mapped is not None
    assert close(mapped_range(path, set(on_cpu)), mapped.weights)
    check_printed(expected, loaded, slack)


def check_printed(expected: MemoryUsage, loaded: Loaded, copied: int) -> None:
    """Against the lines that only a real load prints, rounded to hundredths of a MiB."""
    slack = 0.02 * 2**20
    for device in expected.devices:
        if device.device == CPU:
            outputs = sum(printed(loaded, "output").values())
            assert close(device.output, outputs, slack=slack)
        else:
            model = _of(printed(loaded, "model"), device.device)
            assert close(device.weights, model, slack=slack), device
        assert close(device.keys_values, _of(printed(loaded, "KV"), device.device), slack=slack)
        compute = _of(printed(loaded, "compute"), device.device)
        assert close(device.compute, compute, slack=slack + copied)


def _of(sizes: dict[str, float], device: str) -> float:
    return sum(size for buffer, size in sizes.items() if buffer.startswith(device))


def _device(tensor: str, placement: Placement, layers: list[str]) -> str:
    """As in ``llama_model_loader::create_tensor``."""
    for pattern, device in placement.overrides:
        if re.search(pattern, tensor):
            return device
    if match := re.match(r"blk\.(\d+)\.", tensor):
        return layers[int(match[1])]
    return layers[-1] if tensor.startswith("output") else CPU


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("type_name", ["f16", "q4_k_m", "q8_0"])
def test_usage_agrees_with_what_is_taken(
    type_name: str, split: str, glm3_tiny: dict[str, Path], child: ChildProcess
) -> None:
    """glm3-tiny, really loaded. Every type meets every split and every context."""
    number = list(glm3_tiny).index(type_name) + list(SPLITS).index(split)
    check(child, glm3_tiny[type_name], SPLITS[split], CONTEXTS[number % len(CONTEXTS)])


@pytest.mark.parametrize("split", ["on the CPU", "some on one", "all on two"])
def test_width_of_6b(split: str, tmp_path: Path, child: ChildProcess) -> None:
    """Two layers as wide as ChatGLM3-6B's, of zeros, which are weights like others; few tokens."""
    path = tmp_path / "wide.gguf"
    write_header_only(path, replace(CHATGLM3_6B, num_layers=2, vocab_size=8192), "q4_k_m")
    placement = {
        "on the CPU": ON_CPU,
        "some on one": Placement(("RPC0",), 2),
        "all on two": Placement(("RPC0", "RPC1"), 3, tensor_split=(1, 2)),
    }[split]
    check(child, path, placement, ContextParams(8192, 128, 52))


def test_workers_are_asked_in_a_child_process(
    glm3_tiny: dict[str, Path], child: ChildProcess
) -> None:
    path, context_params = glm3_tiny["q8_0"], ContextParams(1024, 128, 49)
    placement = Placement(("RPC0", "RPC1"), 7, tensor_split=(3, 4))
    found = measure_memory(path, placement, context_params, workers=child.call("addresses"))
    assert found == child.call("measure_memory", path, placement, context_params)
    assert found["RPC1"].total > 0


def test_fits_is_for_each_device() -> None:
    found = MemoryUsage(
        (DeviceMemoryUsage(CPU, weights=10, output=2), DeviceMemoryUsage("CUDA0", weights=20))
    )
    assert found.total == 32
    assert found.fits({CPU: 12, "CUDA0": 20})
    assert not found.fits({CPU: 11, "CUDA0": 20})
    assert not found.fits({CPU: 100, "CUDA0": 19})
    assert not found.fits({CPU: 100})
    assert found["CUDA1"].total == 0
