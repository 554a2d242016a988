"""Memory usage of a model and its context on each device, as llama.cpp computes it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glm3edge.llama.allocations import Allocation
from glm3edge.llama.child_process import run_in_child
from glm3edge.llama.context import Context
from glm3edge.llama.device_placement import Placement
from glm3edge.llama.devices import CPU, add_workers
from glm3edge.llama.model import Model

_REPACKED = "_REPACK"
_LOGIT_BYTES = 4  # float32


@dataclass(frozen=True, slots=True)
class ContextParams:
    """Parameters of a context that decide its memory.

    Attributes:
        context_size: tokens in the KV cache, over all sequences.
        batch_size: tokens of a batch.
        num_sequences: sequences that share the KV cache: a server's running and cached ones.
        kv_type: type of keys and values.
        has_disk_cache: whether its KV cache goes to disk; see ``DiskCache``.
    """

    context_size: int
    batch_size: int
    num_sequences: int
    kv_type: str = "f16"
    has_disk_cache: bool = False


@dataclass(frozen=True, slots=True)
class DeviceMemoryUsage:
    """Memory usage on one device, in bytes.

    Attributes:
        device: its name.
        weights: of its tensors. The CPU maps them from the file; unused parts of the mapping are
            not counted, as the system can reclaim them at any time.
        keys_values: of its layers.
        compute: scratch memory of a batch.
        output: logits, on the CPU, of one token of each sequence.
        states: on the CPU, what waits to be written to the disk cache, at most.
        num_repacked: bytes of the weights that are copied in a layout of the CPU's own; the file's
            are needed only while the copy is made.
    """

    device: str
    weights: int = 0
    keys_values: int = 0
    compute: int = 0
    output: int = 0
    states: int = 0
    num_repacked: int = 0

    @property
    def total(self) -> int:
        """Sum of all; repacked bytes are among the weights."""
        return self.weights + self.keys_values + self.compute + self.output + self.states


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """Memory usage of a model and a context by device; the CPU comes first."""

    devices: tuple[DeviceMemoryUsage, ...]

    def __getitem__(self, device: str) -> DeviceMemoryUsage:
        """Usage on a device, zero if it takes no part."""
        return next((d for d in self.devices if d.device == device), DeviceMemoryUsage(device))

    @property
    def total(self) -> int:
        """Bytes on all devices together."""
        return sum(device.total for device in self.devices)

    def with_compute(self, device: str, num_bytes: int) -> "MemoryUsage":
        """A copy with ``num_bytes`` more for batches on a device that takes part."""
        return MemoryUsage(
            tuple(
                replace(d, compute=d.compute + num_bytes) if d.device == device else d
                for d in self.devices
            )
        )

    def fits(self, free_by_device: Mapping[str, int]) -> bool:
        """Whether no device exceeds its free bytes; devices that are not named have none."""
        return all(d.total <= free_by_device.get(d.device, 0) for d in self.devices)


def measure_memory(
    path: Path, placement: Placement, context_params: ContextParams, *, workers: Sequence[str] = ()
) -> MemoryUsage:
    """Memory usage of a GGUF file and a context, without reading weights or allocating.

    Args:
        path: the file; its metadata and list of tensors are read.
        placement: device of each layer and tensor.
        context_params: parameters of the context.
        workers: addresses whose devices the placement names, in this order; a child process then
            asks them. Without them the devices have to be known in this process.

    Raises:
        DeviceError: a device is not here.
        EngineLostError: a worker cannot be reached.
        ModelError: the file is no model, or llama.cpp does not report memory.
    """
    if workers:
        return run_in_child(_measure_with, path, placement, context_params, tuple(workers))
    with (
        Model(path, no_alloc=True, placement=placement) as model,
        Context(
            model,
            context_size=context_params.context_size,
            batch_size=context_params.batch_size,
            num_sequences=context_params.num_sequences,
            kv_type=context_params.kv_type,
            num_threads=1,
        ) as context,
    ):
        output = context_params.num_sequences * model.vocab_size * _LOGIT_BYTES
        allocations = context.allocations()
        states = sum(part.context for part in allocations) if context_params.has_disk_cache else 0
        return summarize(allocations, output=output, states=states)


def summarize(allocations: Sequence[Allocation], *, output: int, states: int = 0) -> MemoryUsage:
    """Sum a context's ``allocations()`` by device.

    ``output`` and ``states`` are what they do not have, in bytes on the CPU.
    """
    fields: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    fields[CPU] |= {"output": output, "states": states}
    for allocation in allocations:
        sums = fields[allocation.device]
        sums["weights"] += allocation.weights
        sums["keys_values"] += allocation.context
        sums["compute"] += allocation.compute
        if allocation.buffer.endswith(_REPACKED):
            sums["num_repacked"] += allocation.weights
    return MemoryUsage(tuple(DeviceMemoryUsage(device, **sums) for device, sums in fields.items()))


def _measure_with(
    path: Path, placement: Placement, context_params: ContextParams, workers: Sequence[str]
) -> MemoryUsage:
    add_workers(workers)
    return measure_memory(path, placement, context_params)
