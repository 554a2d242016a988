"""Object of a child process in which tests plan, load and compute with fake devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glm3edge.core import Span
from glm3edge.llama import library
from glm3edge.llama.allocations import Allocation, layer_devices, moved_tensors
from glm3edge.llama.context import Context
from glm3edge.llama.device_placement import Placement
from glm3edge.llama.devices import Device
from glm3edge.llama.fake_devices import add_fake_devices
from glm3edge.llama.model import Model
from glm3edge.placement.estimate import Estimator
from glm3edge.placement.memory_usage import ContextParams, MemoryUsage, measure_memory, summarize
from glm3edge.placement.search import Fit, Search

NUM_FAKE_DEVICES = 3


@dataclass(frozen=True)
class Loaded:
    """Memory and log of a model that was loaded."""

    memory_usage: MemoryUsage
    allocations: list[Allocation]
    lines: list[str]

    @property
    def layers(self) -> list[str]:
        found = layer_devices(self.lines)
        return [found[number] for number in sorted(found)]

    @property
    def moved(self) -> dict[str, str]:
        return moved_tensors(self.lines)


class FakeDevices:
    """Fake devices RPC0, RPC1 and RPC2, which weights can be loaded to."""

    def __init__(self) -> None:
        self.devices = add_fake_devices(NUM_FAKE_DEVICES)

    def addresses(self) -> list[str]:
        return sorted({device.description for device in self.devices})

    def here(self) -> list[Device]:
        return self.devices

    def measure_memory(
        self, path: Path, placement: Placement, context_params: ContextParams
    ) -> MemoryUsage:
        return measure_memory(path, placement, context_params)

    def estimates(
        self, path: Path, context_params: ContextParams, placements: Sequence[Placement]
    ) -> list[tuple[MemoryUsage, MemoryUsage]]:
        """Memory usage of each placement: measured by llama.cpp, and estimated."""
        estimator = Estimator(
            path, lambda placement: measure_memory(path, placement, context_params)
        )
        return [(estimator.measure(p), estimator.estimate(p)) for p in placements]

    def best(
        self, search: Search, context_params: ContextParams, least: ContextParams | None = None
    ) -> Fit:
        return (
            search.best(context_params)
            if least is None
            else search.best_shrunk(context_params, least)
        )

    def load(
        self,
        path: Path,
        placement: Placement,
        context_params: ContextParams,
        *,
        no_alloc: bool = False,
    ) -> Loaded:
        """Load a model with its context, and free both."""
        with (
            library.log_lines() as lines,
            Model(path, placement=placement, no_alloc=no_alloc) as model,
            _context(model, context_params) as context,
        ):
            output = context_params.num_sequences * model.vocab_size * 4
            found = context.allocations()
            return Loaded(summarize(found, output=output), found, list(lines))

    def greedy(
        self,
        path: Path,
        placement: Placement,
        context_params: ContextParams,
        prompt: str,
        count: int,
    ) -> list[int]:
        """The greedy continuation of a prompt."""
        with Model(path, placement=placement) as model, _context(model, context_params) as context:
            ids = model.tokenize(prompt)
            num_given = len(ids)
            new, position = ids, 0
            for _ in range(count):
                (index,) = context.decode([Span(0, position, new, wants_output=True)])
                position += len(new)
                new = [int(context.logits(index, 1)[0].argmax())]
                ids = ids + new
            return ids[num_given:]


def _context(model: Model, context_params: ContextParams) -> Context:
    return Context(
        model,
        context_size=context_params.context_size,
        batch_size=context_params.batch_size,
        num_sequences=context_params.num_sequences,
        kv_type=context_params.kv_type,
        num_threads=1,
    )
