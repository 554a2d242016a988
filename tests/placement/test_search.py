"""The search: it never says that something fits that does not, and leaves no budget unused."""

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

pytestmark = pytest.mark.slow

GIB, MIB = 2**30, 2**20
CONTEXT = ContextParams(8192, 128, 52)
PLENTY = DeviceBudget(CPU, 64 * GIB)


def budgets(*sizes: float) -> tuple[DeviceBudget, ...]:
    return tuple(DeviceBudget(f"RPC{index}", int(size * GIB)) for index, size in enumerate(sizes))


def best(child: ChildProcess, search: Search, context_params: ContextParams = CONTEXT) -> Fit:
    fit: Fit = child.call("best", search, context_params)
    return fit


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@example(sizes=[3.725], ram=4.0)
@example(sizes=[0.2, 0.2], ram=8.0)
@example(sizes=[], ram=3.88)
@given(sizes=st.lists(st.floats(0, 6), max_size=3), ram=st.floats(0.05, 6))
def test_what_fits_fits(
    sizes: list[float], ram: float, headers: dict[str, Path], child: ChildProcess
) -> None:
    """Of any machine; and what does not fit as found does not fit either with all on the CPU."""
    path, found = headers["q4_k_m"], budgets(*sizes)
    try:
        fit = best(child, Search(path, found, DeviceBudget(CPU, int(ram * GIB))))
    except DoesNotFitError:
        on_cpu: MemoryUsage = child.call("measure_memory", path, ON_CPU, CONTEXT)
        assert not on_cpu.fits({CPU: int(ram * GIB)})
        return
    exact: MemoryUsage = child.call("measure_memory", path, fit.placement, CONTEXT)
    assert exact == fit.memory_usage
    assert exact.fits({CPU: int(ram * GIB), **{budget.device: budget.free for budget in found}})


@pytest.mark.parametrize("size", [0.5, 1.0, 2.0, 3.0, 3.6])
def test_no_more_would_fit(size: float, headers: dict[str, Path], child: ChildProcess) -> None:
    """One layer more, or the part that was left out, is too much."""
    path, (budget,) = headers["q4_k_m"], budgets(size)
    fit = best(child, Search(path, (budget,), PLENTY))
    number = fit.placement.num_gpu_layers + (0 if fit.placement.overrides else 1)
    more = Placement(("RPC0",), number, tensor_split=(number,))
    taken: MemoryUsage = child.call("measure_memory", path, more, CONTEXT)
    assert taken["RPC0"].total > budget.usable >= fit.memory_usage["RPC0"].total


def test_smallest_part_is_used(headers: dict[str, Path], child: ChildProcess) -> None:
    """Room for a layer's attention, then for one of its matrices, then for both."""
    path = headers["q4_k_m"]
    number = 10
    whole = Placement(("RPC0",), number, tensor_split=(number,))
    base = child.call("measure_memory", path, whole, CONTEXT)["RPC0"].total
    seen = []
    for extra in (10 * MIB, 40 * MIB, 80 * MIB, 100 * MIB):
        fit = best(child, Search(path, (DeviceBudget("RPC0", base + extra),), PLENTY))
        seen.append((fit.placement.num_gpu_layers, [p for p, _ in fit.placement.overrides]))
    assert seen == [
        (number, []),
        (number + 1, [r"^blk\.18\.ffn_(up|down)\."]),
        (number + 1, [r"^blk\.18\.ffn_up\."]),
        (number + 1, [r"^blk\.18\.ffn_down\."]),
    ]


def test_all_on_the_fewest_devices(headers: dict[str, Path], child: ChildProcess) -> None:
    """The first that everything fits on; else in shares that are numbers of layers."""
    path = headers["q4_k_m"]
    assert best(child, Search(path, budgets(4, 4), PLENTY)).placement.devices == ("RPC0",)
    assert best(child, Search(path, budgets(0.3, 4), PLENTY)).placement.devices == ("RPC1",)
    both = best(child, Search(path, budgets(2, 2), PLENTY))
    assert both.is_whole
    assert sum(both.placement.tensor_split) == both.placement.num_gpu_layers == 29
    assert both.num_layers == dict(
        zip(both.placement.devices, map(int, both.placement.tensor_split), strict=True)
    )


def test_no_room_at_all(headers: dict[str, Path], child: ChildProcess) -> None:
    fit = best(child, Search(headers["q4_k_m"], budgets(0.01), PLENTY))
    assert fit.placement == ON_CPU
    assert fit.num_layers == {CPU: 29}
    with pytest.raises(DoesNotFitError) as caught:
        best(child, Search(headers["f16"], budgets(0.01), DeviceBudget(CPU, 4 * GIB)))
    assert caught.value.needed > 11 * GIB
    assert caught.value.usable == 4 * GIB


def test_keys_and_values_stay_on_the_cpu(headers: dict[str, Path], child: ChildProcess) -> None:
    fit = best(child, Search(headers["q4_k_m"], budgets(2), PLENTY, kv_on_gpu=False))
    assert not fit.placement.kv_on_gpu
    assert fit.memory_usage["RPC0"].keys_values == 0
    assert fit.memory_usage[CPU].keys_values == 224 * MIB


def test_context_is_shrunk_only_if_allowed(headers: dict[str, Path], child: ChildProcess) -> None:
    """To as much as puts everything on the device, and no less."""
    search = Search(headers["q4_k_m"], budgets(3.6), PLENTY)
    kept = best(child, search)
    assert kept.context_params == CONTEXT
    assert not kept.is_whole
    least = ContextParams(1024, 128, 49)
    fit: Fit = child.call("best", search, CONTEXT, least)
    assert fit.is_whole
    assert fit.context_params.num_sequences == 52
    assert 1024 < fit.context_params.context_size < 8192
    more = replace(fit.context_params, context_size=fit.context_params.context_size + 256)
    assert not best(child, search, more).is_whole


def test_context_is_shrunk_where_nothing_else_helps(
    headers: dict[str, Path], child: ChildProcess
) -> None:
    search = Search(headers["q4_k_m"], (), DeviceBudget(CPU, int(3.8 * GIB)))
    with pytest.raises(DoesNotFitError):
        best(child, search)
    fit: Fit = child.call("best", search, CONTEXT, ContextParams(512, 128, 49))
    assert 512 < fit.context_params.context_size < 8192
    with pytest.raises(DoesNotFitError):
        child.call(
            "best",
            replace(search, cpu=DeviceBudget(CPU, GIB)),
            CONTEXT,
            ContextParams(512, 128, 49),
        )


def test_what_is_not_worth_shrinking_for_is_kept(
    headers: dict[str, Path], child: ChildProcess
) -> None:
    """No context is so small that all layers are on the device: the context stays as it is."""
    search = Search(headers["q4_k_m"], budgets(2), PLENTY)
    fit: Fit = child.call("best", search, CONTEXT, ContextParams(512, 128, 49))
    assert fit == best(child, search)


def test_memory_that_is_shared_counts_once(headers: dict[str, Path], child: ChildProcess) -> None:
    """A GPU inside the processor has no memory of its own."""
    budget = DeviceBudget("RPC0", 6 * GIB, shares_ram=True)
    with pytest.raises(DoesNotFitError):
        best(child, Search(headers["q4_k_m"], (budget,), DeviceBudget(CPU, int(3.5 * GIB))))
    assert best(child, Search(headers["q4_k_m"], (budget,), DeviceBudget(CPU, 4 * GIB))).is_whole


def test_a_fake_gpu_takes_memory_for_a_matrix(
    headers: dict[str, Path], child: ChildProcess
) -> None:
    (budget,) = budgets(2)
    real = best(child, Search(headers["q4_k_m"], (budget,), PLENTY))
    fake = best(child, Search(headers["q4_k_m"], (replace(budget, is_fake=True),), PLENTY))
    largest = 13824 * 2 * 4096 // 256 * 144  # ffn_up in q4_K
    measured: MemoryUsage = child.call("measure_memory", headers["q4_k_m"], fake.placement, CONTEXT)
    assert fake.memory_usage["RPC0"].compute == measured["RPC0"].compute + largest
    assert bytes_on_devices(fake.memory_usage) < bytes_on_devices(real.memory_usage)


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
    assert {budget.device: budget.shares_ram for budget in found} == {
        "CUDA0": False,
        "Vulkan0": True,
        "MTL0": True,
        "RPC0": True,
        "RPC1": False,
        "RPC2": True,
    }


def test_replies_are_the_same_as_on_the_cpu(
    glm3_tiny: dict[str, Path], child: ChildProcess
) -> None:
    """glm3-tiny, really spread over devices that hold a part of it each."""
    path, context_params = glm3_tiny["f16"], ContextParams(512, 128, 49)
    prompt, count = "你好！请介绍一下你自己。", 24
    expected: list[int] = child.call("greedy", path, ON_CPU, context_params, prompt, count)
    placements = []
    for sizes in ((12,), (6, 8), (5, 5, 9)):
        found = tuple(DeviceBudget(f"RPC{index}", size * MIB) for index, size in enumerate(sizes))
        fit = best(child, Search(path, found, PLENTY), context_params)
        placements.append(fit.placement)
        assert len(fit.placement.devices) == len(sizes)
        assert child.call("greedy", path, fit.placement, context_params, prompt, count) == expected
    assert any(placement.overrides for placement in placements)


def test_workers_are_asked_in_a_child_process(
    headers: dict[str, Path], child: ChildProcess
) -> None:
    path, found = headers["q4_k_m"], budgets(1, 2)
    fit = best_placement(path, found, PLENTY, CONTEXT, workers=child.call("addresses"))
    assert fit == best(child, Search(path, found, PLENTY))
