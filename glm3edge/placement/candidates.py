"""Fill: placements that fill the devices up, by arithmetic.

Decoding waits for memory: for every token each weight, and each key and value in use, is read once.
A byte costs the CPU the same whatever it is part of, so what counts is how many bytes the devices
take off it. The embedding is the exception, of which a token reads one row; llama.cpp keeps it on
the CPU always. So whole layers go to the devices from the output back, as llama.cpp counts them,
and keys and values with their layer. Into what is then left of the first device goes one more layer
in part: its attention, which is small and which every earlier token makes dearer, and of the two
feed-forward matrices what there is room for. The others of its tensors are left to the CPU by an
override.

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
"""Devices that take part, in the order in which they take layers; the last has the output."""

_MAX_CHOSEN = 4  # of more devices than these, all are used or none
_LEAST_WORTH = 200  # a device that takes less than this part of the layers is left out
_MATRICES = ("up", "down")  # after ffn_
_OUTPUT_ON_CPU = (r"^output\.weight$", CPU)


@dataclass(frozen=True, slots=True)
class Filler:
    """Fills devices with a model.

    Attributes:
        estimator: of the model and what it is to do.
        budgets: of the devices.
        kv_on_gpu: keys and values go with their layer.
    """

    estimator: Estimator
    budgets: tuple[DeviceBudget, ...]
    kv_on_gpu: bool = True

    def best(self) -> Placement:
        """The placement that puts most on the devices and fits them, as far as arithmetic tells.

        Of those that put as much there, one of fewest devices, and of the first ones; a device that
        can take next to nothing is left out.
        """
        best, most = ON_CPU, 0
        for order in self._orders():
            for placement in self._fillings(order):
                account = self.estimator.estimate(placement)
                worth = bytes_on_devices(account) - len(order) * self._least_worth
                if worth > most and overrun(account, self.budgets) <= 0:
                    best, most = placement, worth
                if most and best.num_gpu_layers > self.estimator.num_layers and not best.overrides:
                    return best  # no other has more
        return best

    @property
    def _least_worth(self) -> int:
        """Bytes that a device has to take at least: each one costs the time to hand on to it."""
        return sum(self.estimator.layer_bytes) // _LEAST_WORTH

    def _orders(self) -> Iterator[Order]:
        """Choices of devices, fewest first: as given, and with the roomiest for the output."""
        num_devices = len(self.budgets)
        smallest = 1 if num_devices <= _MAX_CHOSEN else num_devices
        for number in range(smallest, num_devices + 1):
            for order in combinations(self.budgets, number):
                roomiest = max(order, key=lambda room: room.usable)
                others = tuple(room for room in order if room is not roomiest)
                yield from dict.fromkeys((order, (*others, roomiest)))

    def _fillings(self, order: Order) -> Iterator[Placement]:
        """Placements on all devices of an order, from which the best is to be taken."""
        num_all = self.estimator.num_layers + 1
        for overrides in ((), (_OUTPUT_ON_CPU,)):
            whole = self._filled(order, num_all, overrides)
            if whole is not None and whole.num_gpu_layers == num_all:
                yield whole
                return
            part = self._filled(order, num_all // 2 + 1, overrides)
            if part is not None:
                yield part
                yield from self._with_part_of_one_more(order, part)
                return

    def _filled(
        self, order: Order, like: int, overrides: tuple[tuple[str, str], ...]
    ) -> Placement | None:
        """As many layers as there is room for, if computing takes what ``like`` layers take."""
        compute = self.estimator.compute(self._placed(order, _evenly(like, len(order)), overrides))
        counts = list[int]()
        layer = self.estimator.num_layers  # the output
        for room in reversed(order):
            used, count = compute.get(room.device, 0), 0
            while layer >= 0 and used + (size := self._size(layer, overrides)) <= room.usable:
                used, count, layer = used + size, count + 1, layer - 1
            if not count:
                return None
            counts.insert(0, count)
        return self._placed(order, counts, overrides)

    def _with_part_of_one_more(self, order: Order, placement: Placement) -> Iterator[Placement]:
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
            devices=tuple(room.device for room in order),
            num_gpu_layers=sum(counts),
            overrides=overrides,
            tensor_split=tuple(float(count) for count in counts),
            kv_on_gpu=self.kv_on_gpu,
        )

    def _size(self, layer: int, overrides: tuple[tuple[str, str], ...]) -> int:
        """Bytes that a layer takes on its device."""
        if layer == self.estimator.num_layers:
            return self.estimator.output_bytes(is_on_device=not overrides)
        keys_values = self.estimator.kv_bytes if self.kv_on_gpu else 0
        return self.estimator.layer_bytes[layer] + keys_values


def bytes_on_devices(account: MemoryUsage) -> int:
    """Bytes of weights, keys and values that are not on the CPU."""
    return sum(d.weights + d.keys_values for d in account.devices if d.device != CPU)


def overrun(account: MemoryUsage, budgets: Sequence[DeviceBudget]) -> int:
    """By how many bytes the fullest of these devices has too little room; negative if all fit."""
    return max((account[room.device].total - room.usable for room in budgets), default=0)


def _evenly(number: int, num_parts: int) -> list[int]:
    """``number`` in parts that are as good as equal, none empty."""
    number = max(number, num_parts)
    return [number * (i + 1) // num_parts - number * i // num_parts for i in range(num_parts)]
