"""Search for the placement that leaves least to the CPU and exceeds no device's budget.

Candidates come from estimates (``candidates``); llama.cpp's own measurement decides.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from glm3edge.errors import DoesNotFitError
from glm3edge.llama.child_process import run_in_child
from glm3edge.llama.device_placement import Placement
from glm3edge.llama.devices import CPU, add_workers
from glm3edge.llama.gguf_file import tensor_sizes
from glm3edge.placement.budgets import DeviceBudget
from glm3edge.placement.candidates import CandidateGenerator, bytes_on_devices, overrun
from glm3edge.placement.estimate import Estimator, Measure
from glm3edge.placement.layers import copied_bytes, devices_of_layers
from glm3edge.placement.memory_usage import ContextParams, MemoryUsage, measure_memory

CONTEXT_STEP = 256
"""Contexts are shrunk to multiples of this many tokens."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A placement that fits.

    Attributes:
        placement: the placement. Its tensor split counts layers, so llama.cpp follows it whatever
            memory is free when it loads.
        context_params: of the context; smaller than requested where that was allowed.
        memory_usage: of both, measured by llama.cpp.
        layers: device of each layer; the last is the output.
    """

    placement: Placement
    context_params: ContextParams
    memory_usage: MemoryUsage
    layers: tuple[str, ...]

    @property
    def num_layers(self) -> dict[str, int]:
        """Number of layers on each device; the output counts as one, and so does a part of one."""
        return {device: self.layers.count(device) for device in dict.fromkeys(self.layers)}

    @property
    def is_whole(self) -> bool:
        """Whether nothing but the input's embedding is left to the CPU."""
        return CPU not in self.layers and not self.placement.overrides


@dataclass(frozen=True, slots=True)
class Search:
    """Search over placements of one file within budgets; see ``best_placement()``."""

    path: Path
    budgets: tuple[DeviceBudget, ...]
    cpu: DeviceBudget
    kv_on_gpu: bool = True

    def best(self, context_params: ContextParams) -> Fit:
        """The best fit of exactly these context parameters.

        Raises:
            DoesNotFitError: there is none.
        """
        estimator = Estimator(self.path, self._measure(context_params))
        generator = CandidateGenerator(estimator, self.budgets, self.kv_on_gpu)
        best: tuple[Placement, MemoryUsage] | None = None
        while True:
            placement = generator.best()
            if best is not None and best[0] == placement:
                break
            measured = estimator.measure(placement)
            fits = overrun(measured, self.budgets) <= 0
            if best is not None and not (
                fits and bytes_on_devices(measured) > bytes_on_devices(best[1])
            ):
                break
            if fits:
                best = placement, measured
            # A candidate that does not fit is never generated again, so this ends.
            estimator.correct(placement, measured, never_less=not fits)
        self._check_cpu(best[1])
        layers = devices_of_layers(best[0], estimator.num_layers)
        return Fit(best[0], context_params, best[1], tuple(layers))

    def _measure(self, context_params: ContextParams) -> Measure:
        fakes = {budget.device for budget in self.budgets if budget.is_fake}
        tensors = tensor_sizes(self.path)

        def measure(placement: Placement) -> MemoryUsage:
            found = measure_memory(self.path, placement, context_params)
            first = next(iter(placement.devices), None)
            if first not in fakes:
                return found
            return found.with_compute(first, copied_bytes(tensors, placement))

        return measure

    def best_shrunk(self, context_params: ContextParams, least: ContextParams) -> Fit:
        """The best fit of these context parameters, or of a smaller context if that helps.

        Raises:
            DoesNotFitError: not even the ``least`` fits.
        """
        fit = self._try(context_params)
        if fit is not None and (fit.is_whole or not self.budgets):
            return fit
        for num_sequences in dict.fromkeys((context_params.num_sequences, least.num_sequences)):
            wanted = replace(context_params, num_sequences=num_sequences)
            whole = self.largest(wanted, least.context_size, lambda found: found.is_whole)
            if whole is not None:
                return whole
        if fit is not None:
            return fit
        return self.largest(context_params, least.context_size) or self.best(
            replace(least, kv_type=context_params.kv_type)
        )

    def largest(
        self,
        context_params: ContextParams,
        least_context: int,
        accept: Callable[[Fit], bool] = lambda _: True,
    ) -> Fit | None:
        """The fit of the largest context up to the given one that is accepted, None if none is."""

        def tried(context_size: int) -> Fit | None:
            fit = self._try(replace(context_params, context_size=context_size))
            return fit if fit is not None and accept(fit) else None

        best = tried(context_params.context_size)
        if best is not None or least_context >= context_params.context_size:
            return best
        best = tried(least_context)
        low, high = least_context // CONTEXT_STEP, -(-context_params.context_size // CONTEXT_STEP)
        while best is not None and high - low > 1:
            middle = (low + high) // 2
            if (fit := tried(middle * CONTEXT_STEP)) is not None:
                best, low = fit, middle
            else:
                high = middle
        return best

    def _try(self, context_params: ContextParams) -> Fit | None:
        with suppress(DoesNotFitError):
            return self.best(context_params)
        return None

    def _check_cpu(self, found: MemoryUsage) -> None:
        shared = sum(found[budget.device].total for budget in self.budgets if budget.shares_ram)
        needed = found[CPU].total + shared
        if needed > self.cpu.usable:
            raise DoesNotFitError(needed=needed, usable=self.cpu.usable)


def best_placement(
    path: Path,
    budgets: Sequence[DeviceBudget],
    cpu: DeviceBudget,
    context_params: ContextParams,
    *,
    kv_on_gpu: bool = True,
    shrink_to: ContextParams | None = None,
    workers: Sequence[str] = (),
) -> Fit:
    """Find the placement of a GGUF file that puts most bytes on the devices within their budgets.

    Args:
        path: the file.
        budgets: of the devices that may take layers (see ``gpu_budgets``); none leaves all on
            the CPU.
        cpu: the CPU's budget (see ``cpu_budget``).
        context_params: parameters of the context.
        kv_on_gpu: keys and values go with their layer, else they stay on the CPU.
        shrink_to: how far the context may be shrunk, where that puts all layers on the devices or
            where it would not fit otherwise: its size first, then the number of sequences. None
            leaves it as it is.
        workers: addresses whose devices are among the budgets; a child process then searches.
            Without them the devices have to be known in this process.

    Raises:
        DeviceError: a device is not here.
        DoesNotFitError: the CPU has not enough memory for the rest.
        EngineLostError: a worker cannot be reached.
        ModelError: the file is no model, or llama.cpp does not report memory.
    """
    search = Search(path, tuple(budgets), cpu, kv_on_gpu)
    if workers:
        return run_in_child(_search_with, tuple(workers), search, context_params, shrink_to)
    return _search(search, context_params, shrink_to)


def _search(search: Search, context_params: ContextParams, least: ContextParams | None) -> Fit:
    return (
        search.best(context_params) if least is None else search.best_shrunk(context_params, least)
    )


def _search_with(
    workers: Sequence[str],
    search: Search,
    context_params: ContextParams,
    least: ContextParams | None,
) -> Fit:
    add_workers(workers)
    return _search(search, context_params, least)
