"""The arithmetic against llama.cpp's account, on the shape of ChatGLM3-6B, and where layers go."""

from pathlib import Path

import pytest

from glm3edge.llama.child_process import ChildProcess
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU
from glm3edge.llama.gguf_file import tensor_sizes
from glm3edge.placement.layers import copied_bytes, devices_of_layers
from glm3edge.placement.memory_usage import ContextParams, MemoryUsage
from tests.placement.test_memory_usage import close
from tests.support.fake_devices import Loaded

PLACEMENTS = [
    ON_CPU,
    Placement(("RPC0",), 14),
    Placement(("RPC0",), 2),
    Placement(("RPC0",), 1),
    Placement(("RPC0",), 28),
    Placement(("RPC0",), 29),
    Placement(("RPC0", "RPC1"), 29, tensor_split=(14, 15)),
    Placement(("RPC0", "RPC1"), 29, tensor_split=(28, 1)),
    Placement(("RPC1", "RPC0"), 20, tensor_split=(3, 17)),
    Placement(("RPC0",), 14, overrides=((r"^blk\.15\.ffn_(up|down)\.", CPU),), tensor_split=(14,)),
    Placement(("RPC0",), 20, overrides=((r"^output\.weight$", CPU),), tensor_split=(20,)),
    Placement(("RPC0",), 29, kv_on_gpu=False),
]
WORKLOADS = [
    ContextParams(8192, 128, 52),
    ContextParams(2048, 128, 49, "q8_0"),
    ContextParams(8192, 128, 112),
    ContextParams(4096, 512, 52, "q4_0"),
]


@pytest.mark.parametrize(
    ("type_name", "context_params"),
    list(zip(("q2_k", "q4_k_m", "q8_0", "f16"), WORKLOADS, strict=True)),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_estimates(
    type_name: str, context_params: ContextParams, outlines: dict[str, Path], host: ChildProcess
) -> None:
    pairs: list[tuple[MemoryUsage, MemoryUsage]]
    pairs = host.call("estimates", outlines[type_name], context_params, PLACEMENTS)
    for placement, (exact, estimate) in zip(PLACEMENTS, pairs, strict=True):
        for device in {*(d.device for d in exact.devices), *(d.device for d in estimate.devices)}:
            assert estimate[device].weights == exact[device].weights, placement
            assert estimate[device].keys_values == exact[device].keys_values, placement
            assert close(estimate[device].total, exact[device].total), placement


@pytest.mark.parametrize("num_layers", [0, 1, 5, 7, -1, 99])
@pytest.mark.parametrize("shares", [(1, 1), (3, 4), (0, 1), (0.3, 0.7), (2, 3, 2), (0.1, 0.2, 0.7)])
def test_layers_go_where_llama_cpp_says(
    num_layers: int, shares: tuple[float, ...], glm3_tiny: dict[str, Path], host: ChildProcess
) -> None:
    devices = ("RPC0", "RPC1", "RPC2")[: len(shares)]
    placement = Placement(devices, num_layers, tensor_split=shares)
    loaded: Loaded = host.call(
        "load", glm3_tiny["q8_0"], placement, ContextParams(256, 64, 8), no_alloc=True
    )
    assert devices_of_layers(placement, 6) == loaded.layers


def test_one_gpu_takes_all_layers(glm3_tiny: dict[str, Path], host: ChildProcess) -> None:
    placement = Placement(("RPC0", "RPC1"), 4, main_gpu=1)
    loaded: Loaded = host.call("load", glm3_tiny["q8_0"], placement, ContextParams(256, 64, 8))
    assert devices_of_layers(placement, 6) == loaded.layers == [CPU] * 3 + ["RPC1"] * 4


def test_largest_matrix_on_the_cpu(outlines: dict[str, Path]) -> None:
    tensors = tensor_sizes(outlines["q4_k_m"])
    part = Placement(("CUDA0",), 28)
    assert copied_bytes(tensors, part) == tensors["blk.0.ffn_up.weight"]
    no_output = Placement(("CUDA0",), 29, overrides=((r"^output\.weight$", CPU),))
    assert copied_bytes(tensors, no_output) == tensors["output.weight"]
    assert copied_bytes(tensors, Placement(("CUDA0",), 29)) == 0
    assert copied_bytes(tensors, ON_CPU) == tensors["output.weight"]
