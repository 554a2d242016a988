"""Advisor: what becomes of a model of each type on a machine, this one or one that is described."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from glm3edge.errors import DoesNotFitError
from glm3edge.llama.device_placement import ON_CPU
from glm3edge.llama.devices import CPU, Device, add_workers, devices
from glm3edge.llama.fake_devices import add_fake_devices
from glm3edge.llama.gguf_file import tensor_sizes
from glm3edge.placement.budgets import DeviceBudget, cpu_budget, gpu_budget, gpu_budgets
from glm3edge.placement.layers import is_output, layer_of
from glm3edge.placement.memory_usage import ContextParams, measure_memory
from glm3edge.placement.search import CONTEXT_STEP, Fit, Search
from glm3edge.placement.speed import USED_CONTEXT, Speed, expected_speed

COMPARED_KV_TYPES = ("f16", "q8_0")
"""What keys and values may be kept in without a word about quality."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A model of one type: a GGUF file, or the outline of one; ``num_bytes`` has the whole file."""

    type: str
    path: Path
    num_bytes: int


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is asked.

    Attributes:
        variants: the types to compare, of one model.
        context_params: what the context is to be made for.
        max_context: tokens of context that the model can have at all.
        gpus: free bytes of each GPU that is described; None takes those of this machine.
        ram: free bytes of memory; None takes this machine's.
        workers: addresses of workers that share the layers.
    """

    variants: tuple[Variant, ...]
    context_params: ContextParams
    max_context: int
    gpus: tuple[int, ...] | None = None
    ram: int | None = None
    workers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TypePlan:
    """What becomes of one type.

    Attributes:
        variant: of the model.
        fit: what goes where, None if it does not fit.
        failure: why not.
        largest_context: tokens of the largest context with which it fits, 0 if there is none.
        read_bytes: of each device, what a token reads there.
    """

    variant: Variant
    fit: Fit | None
    failure: DoesNotFitError | None
    largest_context: int
    read_bytes: Mapping[str, int] = field(default_factory=dict)

    def speed(self, bandwidths: Mapping[str, float | None]) -> Speed | None:
        """Tokens a second to expect (see ``expected_speed()``)."""
        return expected_speed(self.read_bytes, bandwidths)


@dataclass(frozen=True, slots=True)
class PlanResult:
    """The answer to a PlanRequest.

    Attributes:
        budgets: of the devices that layers can be moved to.
        cpu: the CPU's room.
        labels: what to call the devices.
        kv_bytes: keys and values of the context, kept in each of COMPARED_KV_TYPES.
        plans: one for each variant.
    """

    budgets: tuple[DeviceBudget, ...]
    cpu: DeviceBudget
    labels: Mapping[str, str]
    kv_bytes: Mapping[str, int]
    plans: tuple[TypePlan, ...]


def answer(question: PlanRequest) -> PlanResult:
    """The answer. It may add devices to this process for good, or end it: best called child.

    Raises:
        DeviceError: a device or what stands for it cannot be had.
        ModelError: a variant is no model.
    """
    budgets, labels = _survey(question)
    cpu = cpu_budget(question.ram)
    first = question.variants[0].path
    kv_bytes = {
        kv_type: measure_memory(first, ON_CPU, replace(question.context_params, kv_type=kv_type))[
            CPU
        ].keys_values
        for kv_type in COMPARED_KV_TYPES
    }
    plans = tuple(
        _plan(variant, Search(variant.path, budgets, cpu), question)
        for variant in question.variants
    )
    return PlanResult(budgets, cpu, labels, kv_bytes, plans)


def recommended(plans: Sequence[TypePlan], default: str) -> TypePlan | None:
    """Which plan to follow, None if none fits.

    The largest type that is on the devices as a whole, if it is not smaller than the default; else
    the default; else the largest that fits. Beyond eight bits nothing is gained that can be seen.
    """
    fitting = [plan for plan in plans if plan.fit is not None]
    by_size = sorted(fitting, key=lambda plan: plan.variant.num_bytes)
    usual = next((plan for plan in by_size if plan.variant.type == default), None)
    whole = [
        plan
        for plan in by_size
        if plan.fit is not None and plan.fit.is_whole and plan.variant.type not in _NO_GAIN
    ]
    if whole and (usual is None or whole[-1].variant.num_bytes >= usual.variant.num_bytes):
        return whole[-1]
    return usual or (by_size[-1] if by_size else None)


_NO_GAIN = {"f16", "bf16", "f32"}


def _survey(question: PlanRequest) -> tuple[tuple[DeviceBudget, ...], dict[str, str]]:
    """Rooms of the devices, workers' first as llama.cpp has them, and what to call those."""
    remote = add_workers(question.workers)
    labels = {device.name: device.name for device in remote}
    budgets = gpu_budgets(remote)
    if question.gpus is None:
        here = [device for device in devices() if device.name not in labels]
        budgets += gpu_budgets(here)
        labels |= {device.name: device.name for device in here}
    elif question.gpus:
        stand_ins = add_fake_devices(len(question.gpus))
        budgets += _described(stand_ins, question.gpus)
        labels |= {device.name: f"GPU{index}" for index, device in enumerate(stand_ins)}
    return tuple(budgets), {**labels, CPU: CPU}


def _described(stand_ins: Sequence[Device], gpus: Sequence[int]) -> list[DeviceBudget]:
    return [
        gpu_budget(device.name, free, is_described=True)
        for device, free in zip(stand_ins, gpus, strict=True)
    ]


def _plan(variant: Variant, search: Search, question: PlanRequest) -> TypePlan:
    context_params = question.context_params
    fit, failure = None, None
    try:
        fit = search.best(context_params)
    except DoesNotFitError as exc:
        failure = exc
    largest = search.largest(
        replace(
            context_params, context_size=max(question.max_context, context_params.context_size)
        ),
        CONTEXT_STEP if fit is None else context_params.context_size,
    )
    return TypePlan(
        variant,
        fit,
        failure,
        largest.context_params.context_size if largest else 0,
        _read_bytes(variant.path, fit) if fit else {},
    )


def _read_bytes(path: Path, fit: Fit) -> dict[str, int]:
    embedding = sum(
        size
        for tensor, size in tensor_sizes(path).items()
        if layer_of(tensor) is None and not is_output(tensor)
    )
    size = fit.context_params.context_size
    return {
        device.device: device.weights
        - (embedding if device.device == CPU else 0)
        + device.keys_values * min(USED_CONTEXT, size) // size
        for device in fit.account.devices
    }
