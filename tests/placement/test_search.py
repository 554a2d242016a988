"""The search: it never says that something fits that does not, and leaves no room unused."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from glm3edge.errors import DoesNotFitError
from glm3edge.llama.child_process import ChildProcess
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU, Device, DeviceKind
from glm3edge.placement.budgets import (
    MIN_GPU_MARGIN,
    DeviceBudget,
    cpu_budget,
    gpu_budget,
    gpu_budgets,
)
from glm3edge.placement.candidates import bytes_on_devices
from glm3edge.placement.memory_usage import ContextParams, MemoryUsage
from glm3edge.placement.search import Fit, Search, best_placement

GIB, MIB = 2**30, 2**20
WORKLOAD = ContextParams(8192, 128, 52)
PLENTY = DeviceBudget(CPU, 64 * GIB)


def budgets(*sizes: float) -> tuple[DeviceBudget, ...]:
    return tuple(DeviceBudget(f"RPC{index}", int(size * GIB)) for index, size in enumerate(sizes))


def best(host: ChildProcess, search: Search, context_params: ContextParams = WORKLOAD) -> Fit:
    fit: Fit = host.call("best", search, context_params)
    return fit


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@example(sizes=[3.725], ram=4.0)
@example(sizes=[0.2, 0.2], ram=8.0)
@example(sizes=[], ram=3.88)
@given(sizes=st.lists(st.floats(0, 6), max_size=3), ram=st.floats(0.05, 6))
def test_what_fits_fits(
    sizes: list[float], ram: float, outlines: dict[str, Path], host: ChildProcess
) -> None:
    """Of any machine; and what does not fit as found does not fit either with all on the CPU."""
    path, found = outlines["q4_k_m"], budgets(*sizes)
    try:
        fit = best(host, Search(path, found, DeviceBudget(CPU, int(ram * GIB))))
    except DoesNotFitError:
        on_cpu: MemoryUsage = host.call("account", path, ON_CPU, WORKLOAD)
        assert not on_cpu.fits({CPU: int(ram * GIB)})
        return
    exact: MemoryUsage = host.call("account", path, fit.placement, WORKLOAD)
    assert exact == fit.account
    assert exact.fits({CPU: int(ram * GIB), **{room.device: room.free for room in found}})


@pytest.mark.parametrize("size", [0.5, 1.0, 2.0, 3.0, 3.6])
def test_no_more_would_fit(size: float, outlines: dict[str, Path], host: ChildProcess) -> None:
    """One layer more, or the part that was left out, is too much."""
    path, (room,) = outlines["q4_k_m"], budgets(size)
    fit = best(host, Search(path, (room,), PLENTY))
    number = fit.placement.num_gpu_layers + (0 if fit.placement.overrides else 1)
    more = Placement(("RPC0",), number, tensor_split=(number,))
    taken: MemoryUsage = host.call("account", path, more, WORKLOAD)
    assert taken["RPC0"].total > room.usable >= fit.account["RPC0"].total


def test_smallest_part_is_used(outlines: dict[str, Path], host: ChildProcess) -> None:
    """Room for a layer's attention, then for one of its matrices, then for both."""
    path = outlines["q4_k_m"]
    number = 10
    whole = Placement(("RPC0",), number, tensor_split=(number,))
    base = host.call("account", path, whole, WORKLOAD)["RPC0"].total
    seen = []
    for extra in (10 * MIB, 40 * MIB, 80 * MIB, 100 * MIB):
        fit = best(host, Search(path, (DeviceBudget("RPC0", base + extra),), PLENTY))
        seen.append((fit.placement.num_gpu_layers, [p for p, _ in fit.placement.overrides]))
    assert seen == [
        (number, []),
        (number + 1, [r"^blk\.18\.ffn_(up|down)\."]),
        (number + 1, [r"^blk\.18\.ffn_up\."]),
        (number + 1, [r"^blk\.18\.ffn_down\."]),
    ]


def test_all_on_the_fewest_devices(outlines: dict[str, Path], host: ChildProcess) -> None:
    """The first that has room for everything; else in shares that are numbers of layers."""
    path = outlines["q4_k_m"]
    assert best(host, Search(path, budgets(4, 4), PLENTY)).placement.devices == ("RPC0",)
    assert best(host, Search(path, budgets(0.3, 4), PLENTY)).placement.devices == ("RPC1",)
    both = best(host, Search(path, budgets(2, 2), PLENTY))
    assert both.is_whole
    assert sum(both.placement.tensor_split) == both.placement.num_gpu_layers == 29
    assert both.num_layers == dict(
        zip(both.placement.devices, map(int, both.placement.tensor_split), strict=True)
    )


def test_no_room_at_all(outlines: dict[str, Path], host: ChildProcess) -> None:
    fit = best(host, Search(outlines["q4_k_m"], budgets(0.01), PLENTY))
    assert fit.placement == ON_CPU
    assert fit.num_layers == {CPU: 29}
    with pytest.raises(DoesNotFitError) as caught:
        best(host, Search(outlines["f16"], budgets(0.01), DeviceBudget(CPU, 4 * GIB)))
    assert caught.value.needed > 11 * GIB
    assert caught.value.usable == 4 * GIB


def test_keys_and_values_stay_on_the_cpu(outlines: dict[str, Path], host: ChildProcess) -> None:
    fit = best(host, Search(outlines["q4_k_m"], budgets(2), PLENTY, kv_on_gpu=False))
    assert not fit.placement.kv_on_gpu
    assert fit.account["RPC0"].keys_values == 0
    assert fit.account[CPU].keys_values == 224 * MIB


def test_context_is_shrunk_only_if_allowed(outlines: dict[str, Path], host: ChildProcess) -> None:
    """To as much as puts everything on the device, and no less."""
    search = Search(outlines["q4_k_m"], budgets(3.6), PLENTY)
    kept = best(host, search)
    assert kept.context_params == WORKLOAD
    assert not kept.is_whole
    least = ContextParams(1024, 128, 49)
    fit: Fit = host.call("best", search, WORKLOAD, least)
    assert fit.is_whole
    assert fit.context_params.num_sequences == 52
    assert 1024 < fit.context_params.context_size < 8192
    more = replace(fit.context_params, context_size=fit.context_params.context_size + 256)
    assert not best(host, search, more).is_whole


def test_context_is_shrunk_where_nothing_else_helps(
    outlines: dict[str, Path], host: ChildProcess
) -> None:
    search = Search(outlines["q4_k_m"], (), DeviceBudget(CPU, int(3.8 * GIB)))
    with pytest.raises(DoesNotFitError):
        best(host, search)
    fit: Fit = host.call("best", search, WORKLOAD, ContextParams(512, 128, 49))
    assert 512 < fit.context_params.context_size < 8192
    with pytest.raises(DoesNotFitError):
        host.call(
            "best",
            replace(search, cpu=DeviceBudget(CPU, GIB)),
            WORKLOAD,
            ContextParams(512, 128, 49),
        )


def test_what_is_not_worth_shrinking_for_is_kept(
    outlines: dict[str, Path], host: ChildProcess
) -> None:
    """No context is so small that all layers are on the device: the context stays as it is."""
    search = Search(outlines["q4_k_m"], budgets(2), PLENTY)
    fit: Fit = host.call("best", search, WORKLOAD, ContextParams(512, 128, 49))
    assert fit == best(host, search)


def test_memory_that_is_shared_counts_once(outlines: dict[str, Path], host: ChildProcess) -> None:
    """A GPU inside the processor has no memory of its own."""
    room = DeviceBudget("RPC0", 6 * GIB, shares_ram=True)
    with pytest.raises(DoesNotFitError):
        best(host, Search(outlines["q4_k_m"], (room,), DeviceBudget(CPU, int(3.5 * GIB))))
    assert best(host, Search(outlines["q4_k_m"], (room,), DeviceBudget(CPU, 4 * GIB))).is_whole


def test_described_gpu_needs_room_for_a_matrix(
    outlines: dict[str, Path], host: ChildProcess
) -> None:
    (room,) = budgets(2)
    real = best(host, Search(outlines["q4_k_m"], (room,), PLENTY))
    described = best(host, Search(outlines["q4_k_m"], (replace(room, is_described=True),), PLENTY))
    largest = 13824 * 2 * 4096 // 256 * 144  # ffn_up in q4_K
    account: MemoryUsage = host.call("account", outlines["q4_k_m"], described.placement, WORKLOAD)
    assert described.account["RPC0"].compute == account["RPC0"].compute + largest
    assert bytes_on_devices(described.account) < bytes_on_devices(real.account)


def test_margins() -> None:
    assert gpu_budget("CUDA0", 4 * GIB).usable == 4 * GIB - MIN_GPU_MARGIN
    assert gpu_budget("CUDA0", 100 * GIB).usable == 95 * GIB
    assert gpu_budget("CUDA0", 10 * MIB).usable == 0
    assert cpu_budget(8 * GIB).usable == 8 * GIB - int(0.05 * 8 * GIB)
    assert 0 < cpu_budget().usable < cpu_budget().free


def test_devices_that_share_the_memory() -> None:
    def device(name: str, description: str, kind: DeviceKind, backend: str) -> Device:
        return Device(name, description, kind, backend, 4 * GIB, 8 * GIB)

    found = gpu_budgets(
        [
            device("CPU", "AMD EPYC", DeviceKind.CPU, "CPU"),
            device("CUDA0", "RTX 3050", DeviceKind.GPU, "CUDA"),
            device("Vulkan0", "Iris Xe", DeviceKind.INTEGRATED_GPU, "Vulkan"),
            device("MTL0", "M2", DeviceKind.GPU, "MTL"),
            device("RPC0", "127.0.0.1:50052", DeviceKind.GPU, "RPC"),
            device("RPC1", "192.168.1.7:50052", DeviceKind.GPU, "RPC"),
            device("RPC2", "[::1]:50052", DeviceKind.GPU, "RPC"),
        ]
    )
    assert {room.device: room.shares_ram for room in found} == {
        "CUDA0": False,
        "Vulkan0": True,
        "MTL0": True,
        "RPC0": True,
        "RPC1": False,
        "RPC2": True,
    }


def test_replies_are_the_same_as_on_the_cpu(glm3_tiny: dict[str, Path], host: ChildProcess) -> None:
    """glm3-tiny, really spread over devices that hold a part of it each."""
    path, context_params = glm3_tiny["f16"], ContextParams(512, 128, 49)
    prompt, count = "你好！请介绍一下你自己。", 24
    expected: list[int] = host.call("greedy", path, ON_CPU, context_params, prompt, count)
    placements = []
    for sizes in ((12,), (6, 8), (5, 5, 9)):
        found = tuple(DeviceBudget(f"RPC{index}", size * MIB) for index, size in enumerate(sizes))
        fit = best(host, Search(path, found, PLENTY), context_params)
        placements.append(fit.placement)
        assert len(fit.placement.devices) == len(sizes)
        assert host.call("greedy", path, fit.placement, context_params, prompt, count) == expected
    assert any(placement.overrides for placement in placements)


def test_workers_are_asked_in_a_process_of_its_own(
    outlines: dict[str, Path], host: ChildProcess
) -> None:
    path, found = outlines["q4_k_m"], budgets(1, 2)
    fit = best_placement(path, found, PLENTY, WORKLOAD, workers=host.call("addresses"))
    assert fit == best(host, Search(path, found, PLENTY))
