"""Where the memory bandwidth of a device is known from."""

from glm3edge.commands.plan.bandwidths import GUESSED_BANDWIDTH, Bandwidth, find_bandwidths
from glm3edge.llama.devices import CPU
from glm3edge.placement.budgets import cpu_budget, gpu_budget
from glm3edge.placement.compare import PlanResult

HERE = Bandwidth(30e9, "measured here")
GIB = 2**30


def result(cards: dict[str, str]) -> PlanResult:
    budgets = (
        gpu_budget("RPC0", GIB),
        gpu_budget("CUDA0", GIB),
        gpu_budget("Vulkan0", GIB, shares_ram=True),
        gpu_budget("Vulkan1", GIB),
        gpu_budget("RPC1", GIB, is_fake=True),
    )
    return PlanResult(budgets, cpu_budget(GIB), {}, cards, {}, ())


def test_sources() -> None:
    """A card by its name, an integrated GPU by the CPU's memory; else a guess; a worker not."""
    cards = {
        "CUDA0": "NVIDIA GeForce RTX 4060",
        "Vulkan0": "AMD Radeon 780M (RADV PHOENIX)",
        "Vulkan1": "Moore Threads MTT S80",
    }
    assert find_bandwidths(result(cards), HERE, None) == {
        CPU: HERE,
        "RPC0": Bandwidth(None),
        "CUDA0": Bandwidth(272e9, "NVIDIA GeForce RTX 4060"),
        "Vulkan0": Bandwidth(30e9, "the CPU's memory"),
        "Vulkan1": Bandwidth(GUESSED_BANDWIDTH, "a guess", is_guess=True),
        "RPC1": Bandwidth(GUESSED_BANDWIDTH, "a guess", is_guess=True),
    }


def test_what_is_given_counts_for_all() -> None:
    found = find_bandwidths(result({}), HERE, 500e9)
    assert found.pop(CPU) == HERE
    assert set(found.values()) == {Bandwidth(500e9, "as given")}
