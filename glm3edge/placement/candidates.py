"""Candidate placements that pack the devices with as much of a model as they can take.

Decoding waits for memory: for every token each weight, and each key and value in use, is read once.
A byte costs the CPU the same whatever it is part of, so the more bytes are on the devices, the
better. The embedding is the exception, of which a token reads one row; llama.cpp keeps it on
the CPU always. So whole layers go to the devices from the output back, as llama.cpp counts them,
and keys and values with their layer. Into the rest of the first device goes a part of one more
layer: its attention, which is small and which every earlier token makes dearer, and those of the
two feed-forward matrices that fit. Its other tensors are left to the CPU by an override.

    input | 0 1 2 ... k-1 | k          k+1 ... | ... n-1  output
    CPU   | CPU           | in part    CUDA0   | CUDA1
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU
from glm3edge.placement.budgets import DeviceBudget
from glm3edge.placement.estimate import Estimator
from glm3edge.placement.memory_usage import MemoryUsage

Order = tuple[DeviceBudget, ...]
"""Budgets of the devices that take part, in the order of their layers; the last has the output."""

_MAX_CHOSEN = 4  # of more devices than these, all are used or none
_MIN_SHARE = 200  # a device that takes less than a 200th of the layers is left out
_MATRICES = ("up", "down")  # after ffn_
_OUTPUT_ON_CPU = (r"^output\.weight$", CPU)


@dataclass(frozen=True, slots=True)
class CandidateGenerator:
    """Generator of candidate placements, and choice of the best by estimate.

    Attributes:
        estimator: of the model and its context.
        budgets: of the devices.
        kv_on_gpu: keys and values go with their layer.
    """

    estimator: Estimator
    budgets: tuple[DeviceBudget, ...]
    kv_on_gpu: bool = True

    def best(self) -> Placement:
        """The candidate with most bytes on the devices among those that fit by estimate.

        Among equals, the one with the fewest devices, and the first of these; a device that can
        take next to nothing is left out.
        """
        best, most = ON_CPU, 0
        for order in self._orders():
            for placement in self._candidates(order):
                usage = self.estimator.estimate(placement)
                worth = bytes_on_devices(usage) - len(order) * self._min_device_bytes
                if worth > most and overrun(usage, self.budgets) <= 0:
                    best, most = placement, worth
                if most and best.num_gpu_layers > self.estimator.num_layers and not best.overrides:
                    return best  # no other has more
        return best

    @property
    def _min_device_bytes(self) -> int:
        """Bytes that a device has to take at least, as each costs the time of a transfer to it."""
        return sum(self.estimator.layer_bytes) // _MIN_SHARE

    def _orders(self) -> Iterator[Order]:
        """Choices of devices, fewest first: in their order, and with the largest budget last."""
        num_devices = len(self.budgets)
        smallest = 1 if num_devices <= _MAX_CHOSEN else num_devices
        for number in range(smallest, num_devices + 1):
            for order in combinations(self.budgets, number):
                largest = max(order, key=lambda budget: budget.usable)
                others = tuple(budget for budget in order if budget is not largest)
                yield from dict.fromkeys((order, (*others, largest)))

    def _candidates(self, order: Order) -> Iterator[Placement]:
        """Candidate placements that use all devices of an order."""
        num_all = self.estimator.num_layers + 1
        for overrides in ((), (_OUTPUT_ON_CPU,)):
            whole = self._packed(order, num_all, overrides)
            if whole is not None and whole.num_gpu_layers == num_all:
                yield whole
                return
            part = self._packed(order, num_all // 2 + 1, overrides)
            if part is not None:
                yield part
                yield from self._with_partial_layer(order, part)
                return

    def _packed(
        self, order: Order, num_assumed: int, overrides: tuple[tuple[str, str], ...]
    ) -> Placement | None:
        """As many layers as fit, if a batch takes what it takes with ``num_assumed`` layers."""
        assumed = self._placed(order, _evenly(num_assumed, len(order)), overrides)
        compute = self.estimator.compute(assumed)
        counts = list[int]()
        layer = self.estimator.num_layers  # the output
        for budget in reversed(order):
            used, count = compute.get(budget.device, 0), 0
            while layer >= 0 and used + (size := self._size(layer, overrides)) <= budget.usable:
                used, count, layer = used + size, count + 1, layer - 1
            if not count:
                return None
            counts.insert(0, count)
        return self._placed(order, counts, overrides)

    def _with_partial_layer(self, order: Order, placement: Placement) -> Iterator[Placement]:
        layer = self.estimator.num_layers - placement.num_gpu_layers
        counts = [int(share) for share in placement.tensor_split]
        counts[0] += 1
        for left_out in (*((name,) for name in _MATRICES), _MATRICES):
            part = left_out[0] if len(left_out) == 1 else f"({'|'.join(left_out)})"
            pattern = rf"^blk\.{layer}\.ffn_{part}\."
            yield self._placed(order, counts, (*placement.overrides, (pattern, CPU)))

    def _placed(
        self, order: Order, counts: Sequence[int], overrides: tuple[tuple[str, str], ...]
    ) -> Placement:
        return Placement(
            devices=tuple(budget.device for budget in order),
            num_gpu_layers=sum(counts),
            overrides=overrides,
            tensor_split=tuple(float(count) for count in counts),
            kv_on_gpu=self.kv_on_gpu,
        )

    def _size(self, layer: int, overrides: tuple[tuple[str, str], ...]) -> int:
        """Bytes of a layer on its device, with its keys and values."""
        if layer == self.estimator.num_layers:
            return self.estimator.output_bytes(is_on_device=not overrides)
        keys_values = self.estimator.kv_bytes if self.kv_on_gpu else 0
        return self.estimator.layer_bytes[layer] + keys_values


def bytes_on_devices(usage: MemoryUsage) -> int:
    """Bytes of weights, keys and values that are not on the CPU."""
    return sum(d.weights + d.keys_values for d in usage.devices if d.device != CPU)


def overrun(usage: MemoryUsage, budgets: Sequence[DeviceBudget]) -> int:
    """Bytes by which the fullest device exceeds its budget; negative if all are within theirs."""
    return max((usage[budget.device].total - budget.usable for budget in budgets), default=0)


def _evenly(number: int, num_parts: int) -> list[int]:
    """``number`` in parts that are nearly equal, none empty."""
    number = max(number, num_parts)
    return [number * (i + 1) // num_parts - number * i // num_parts for i in range(num_parts)]
