"""Search: the placement that leaves least to the CPU without taking more than there is.

Candidates come from arithmetic (``fill``); llama.cpp's own account decides.
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
from glm3edge.placement.candidates import Filler, bytes_on_devices, overrun
from glm3edge.placement.estimate import Estimator, Measure
from glm3edge.placement.layers import copied_bytes, devices_of_layers
from glm3edge.placement.memory_usage import ContextParams, MemoryUsage, measure_memory

CONTEXT_STEP = 256
"""Contexts are shrunk to a multiple of this many tokens."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A placement that fits.

    Attributes:
        placement: which devices hold what. Its shares are numbers of layers, so llama.cpp does as
            it says whatever is free when it loads.
        context_params: of the context; its size is less than was asked for where that was
            allowed.
        account: llama.cpp's of both.
        layers: the device of each layer, the output's last.
    """

    placement: Placement
    context_params: ContextParams
    account: MemoryUsage
    layers: tuple[str, ...]

    @property
    def num_layers(self) -> dict[str, int]:
        """How many layers each device has; the output is one, and a part of one is too."""
        return {device: self.layers.count(device) for device in dict.fromkeys(self.layers)}

    @property
    def is_whole(self) -> bool:
        """Whether nothing but the input's embedding is left to the CPU."""
        return CPU not in self.layers and not self.placement.overrides


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for; see ``best_placement()``."""

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
        filler = Filler(estimator, self.budgets, self.kv_on_gpu)
        best: tuple[Placement, MemoryUsage] | None = None
        while True:
            placement = filler.best()
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
            # What does not fit is never proposed again, so this comes to an end.
            estimator.correct(placement, measured, never_less=not fits)
        self._check_cpu(best[1])
        layers = devices_of_layers(best[0], estimator.num_layers)
        return Fit(best[0], context_params, best[1], tuple(layers))

    def _measure(self, context_params: ContextParams) -> Measure:
        described = {room.device for room in self.budgets if room.is_described}
        tensors = tensor_sizes(self.path)

        def measure(placement: Placement) -> MemoryUsage:
            found = measure_memory(self.path, placement, context_params)
            first = next(iter(placement.devices), None)
            if first not in described:
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
        """The fit of the largest context up to the one asked for that is accepted, or None."""

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
        shared = sum(found[room.device].total for room in self.budgets if room.shares_ram)
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
    """The placement of a GGUF file that puts most on the devices, and nothing where it has no room.

    Args:
        path: the file.
        budgets: of the devices that may take layers (see ``gpu_budgets``); none leaves all on
            the CPU.
        cpu: the CPU's budget (see ``cpu_budget``).
        context_params: what the context is made for.
        kv_on_gpu: keys and values go with their layer, else they stay on the CPU.
        shrink_to: the least that the context may be shrunk to, where that puts all layers on the
            devices, or where it would not fit otherwise: the context, and if that is not enough
            the number of sequences. None leaves it as it is.
        workers: addresses whose devices are among the budgets; a process of its own then searches.
            Without them the devices have to be known in this one.

    Raises:
        DeviceError: a device is not here.
        DoesNotFitError: what has to be left to the CPU is more than it has.
        EngineLostError: a worker cannot be reached.
        ModelError: the file is no model, or llama.cpp does not tell.
    """
    search = Search(path, tuple(budgets), cpu, kv_on_gpu)
    if workers:
        return run_in_child(_run_with, tuple(workers), search, context_params, shrink_to)
    return _run(search, context_params, shrink_to)


def _run(search: Search, context_params: ContextParams, least: ContextParams | None) -> Fit:
    return (
        search.best(context_params) if least is None else search.best_shrunk(context_params, least)
    )


def _run_with(
    workers: Sequence[str],
    search: Search,
    context_params: ContextParams,
    least: ContextParams | None,
) -> Fit:
    add_workers(workers)
    return _run(search, context_params, least)
