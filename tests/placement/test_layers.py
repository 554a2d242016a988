"""Devices of layers and tensors against llama.cpp's own report."""

from pathlib import Path

import pytest

from glm3edge.llama.child_process import ChildProcess
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU
from glm3edge.llama.gguf_file import tensor_sizes
from glm3edge.placement.layers import copied_bytes, devices_of_layers
from glm3edge.placement.memory_usage import ContextParams
from tests.support.fake_devices import Loaded

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("num_layers", [0, 1, 5, 7, -1, 99])
@pytest.mark.parametrize("shares", [(1, 1), (3, 4), (0, 1), (0.3, 0.7), (2, 3, 2), (0.1, 0.2, 0.7)])
def test_layers_go_where_llama_cpp_says(
    num_layers: int, shares: tuple[float, ...], glm3_tiny: dict[str, Path], child: ChildProcess
) -> None:
    devices = ("RPC0", "RPC1", "RPC2")[: len(shares)]
    placement = Placement(devices, num_layers, tensor_split=shares)
    loaded: Loaded = child.call(
        "load", glm3_tiny["q8_0"], placement, ContextParams(256, 64, 8), no_alloc=True
    )
    assert devices_of_layers(placement, 6) == loaded.layers


def test_one_gpu_takes_all_layers(glm3_tiny: dict[str, Path], child: ChildProcess) -> None:
    placement = Placement(("RPC0", "RPC1"), 4, main_gpu=1)
    loaded: Loaded = child.call("load", glm3_tiny["q8_0"], placement, ContextParams(256, 64, 8))
    assert devices_of_layers(placement, 6) == loaded.layers == [CPU] * 3 + ["RPC1"] * 4


def test_largest_matrix_on_the_cpu(headers: dict[str, Path]) -> None:
    tensors = tensor_sizes(headers["q4_k_m"])
    part = Placement(("CUDA0",), 28)
    assert copied_bytes(tensors, part) == tensors["blk.0.ffn_up.weight"]
    no_output = Placement(("CUDA0",), 29, overrides=((r"^output\.weight$", CPU),))
    assert copied_bytes(tensors, no_output) == tensors["output.weight"]
    assert copied_bytes(tensors, Placement(("CUDA0",), 29)) == 0
    assert copied_bytes(tensors, ON_CPU) == tensors["output.weight"]
