"""What the tests of planning do in a process of its own, with devices that stand in for GPUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glm3edge.core import Span
from glm3edge.llama import library
from glm3edge.llama.allocations import Allocation, layer_devices, moved_tensors
from glm3edge.llama.context import Context
from glm3edge.llama.devices import Device
from glm3edge.llama.fake_devices import add_stand_ins
from glm3edge.llama.model import Model
from glm3edge.llama.placement import Placement
from glm3edge.placement.estimate import Estimator
from glm3edge.placement.memory_usage import Account, Workload, account, summarize
from glm3edge.placement.search import Fit, Search

NUM_STAND_INS = 3


@dataclass(frozen=True)
class Loaded:
    """A model that was really loaded."""

    account: Account
    allocations: list[Allocation]
    lines: list[str]

    @property
    def layers(self) -> list[str]:
        found = layer_devices(self.lines)
        return [found[number] for number in sorted(found)]

    @property
    def moved(self) -> dict[str, str]:
        return moved_tensors(self.lines)


class Host:
    """Devices RPC0, RPC1 and RPC2, which weights can really be put on."""

    def __init__(self) -> None:
        self.devices = add_stand_ins(NUM_STAND_INS)

    def addresses(self) -> list[str]:
        return sorted({device.description for device in self.devices})

    def here(self) -> list[Device]:
        return self.devices

    def account(self, path: Path, placement: Placement, workload: Workload) -> Account:
        return account(path, placement, workload)

    def estimates(
        self, path: Path, workload: Workload, placements: Sequence[Placement]
    ) -> list[tuple[Account, Account]]:
        """Of each placement llama.cpp's account, and the estimate."""
        estimator = Estimator(path, lambda placement: account(path, placement, workload))
        return [(estimator.measure(p), estimator.estimate(p)) for p in placements]

    def best(self, search: Search, workload: Workload, least: Workload | None = None) -> Fit:
        return search.best(workload) if least is None else search.best_shrunk(workload, least)

    def load(
        self, path: Path, placement: Placement, workload: Workload, *, no_alloc: bool = False
    ) -> Loaded:
        """Load it for real, and let it go."""
        with (
            library.log_lines() as lines,
            Model(path, placement=placement, no_alloc=no_alloc) as model,
            _context(model, workload) as context,
        ):
            output = workload.num_sequences * model.vocab_size * 4
            found = context.allocations()
            return Loaded(summarize(found, output=output), found, list(lines))

    def greedy(
        self, path: Path, placement: Placement, workload: Workload, prompt: str, count: int
    ) -> list[int]:
        """The likeliest continuation of a prompt."""
        with Model(path, placement=placement) as model, _context(model, workload) as context:
            ids = model.tokenize(prompt)
            num_given = len(ids)
            new, position = ids, 0
            for _ in range(count):
                (index,) = context.decode([Span(0, position, new, wants_output=True)])
                position += len(new)
                new = [int(context.logits(index, 1)[0].argmax())]
                ids = ids + new
            return ids[num_given:]


def _context(model: Model, workload: Workload) -> Context:
    return Context(
        model,
        context_size=workload.context_size,
        batch_size=workload.batch_size,
        num_sequences=workload.num_sequences,
        kv_type=workload.kv_type,
        num_threads=1,
    )
