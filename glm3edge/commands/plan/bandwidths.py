"""Memory bandwidth of the devices that are planned for, and where it is known from."""

from dataclasses import dataclass

from glm3edge.llama.devices import CPU
from glm3edge.placement.compare import PlanResult
from glm3edge.placement.machine.cards import card_bandwidth

GUESSED_BANDWIDTH = 200e9
"""Bytes per second of a card whose name says nothing: between a GTX 1650's and an RTX 4060's."""


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Memory bandwidth of a device.

    Attributes:
        rate: bytes per second, None if unknown.
        source: where it is from, in words; empty if unknown.
        is_guess: whether nothing is known of the device.
    """

    rate: float | None
    source: str = ""
    is_guess: bool = False


def find_bandwidths(
    result: PlanResult, cpu: Bandwidth, gpu_rate: float | None
) -> dict[str, Bandwidth]:
    """Bandwidth of each device of a plan.

    Args:
        result: devices, with their products.
        cpu: the CPU's.
        gpu_rate: bytes per second of each GPU, None to look their products up. A worker's is
            unknown then: it may be a CPU.
    """
    found = {CPU: cpu}
    for budget in result.budgets:
        product = result.cards.get(budget.device)
        if gpu_rate is not None:
            found[budget.device] = Bandwidth(gpu_rate, "as given")
        elif product is None and not budget.is_fake:
            found[budget.device] = Bandwidth(None)
        elif product is not None and (rate := card_bandwidth(product)) is not None:
            found[budget.device] = Bandwidth(rate, product)
        elif budget.shares_ram:
            found[budget.device] = Bandwidth(cpu.rate, "the CPU's memory")
        else:
            found[budget.device] = Bandwidth(GUESSED_BANDWIDTH, "a guess", is_guess=True)
    return found
