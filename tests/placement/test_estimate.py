"""Estimates against llama.cpp's own measurement, on the shape of ChatGLM3-6B."""

from pathlib import Path

import pytest

from glm3edge.llama.child_process import ChildProcess
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU
from glm3edge.placement.memory_usage import ContextParams, MemoryUsage
from tests.support.planning import close

pytestmark = pytest.mark.slow

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
CONTEXTS = [
    ContextParams(8192, 128, 52),
    ContextParams(2048, 128, 49, "q8_0", has_disk_cache=True),
    ContextParams(8192, 128, 112),
    ContextParams(4096, 512, 52, "q4_0"),
]


@pytest.mark.parametrize(
    ("type_name", "context_params"),
    list(zip(("q2_k", "q4_k_m", "q8_0", "f16"), CONTEXTS, strict=True)),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_estimates(
    type_name: str,
    context_params: ContextParams,
    headers: dict[str, Path],
    child: ChildProcess,
) -> None:
    pairs: list[tuple[MemoryUsage, MemoryUsage]]
    pairs = child.call("estimates", headers[type_name], context_params, PLACEMENTS)
    for placement, (exact, estimate) in zip(PLACEMENTS, pairs, strict=True):
        for device in {*(d.device for d in exact.devices), *(d.device for d in estimate.devices)}:
            assert estimate[device].weights == exact[device].weights, placement
            assert estimate[device].keys_values == exact[device].keys_values, placement
            assert close(estimate[device].total, exact[device].total), placement
