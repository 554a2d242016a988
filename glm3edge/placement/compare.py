"""Comparison of a model's quantization types on a machine: this one, or one with fake devices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from glm3edge.errors import DoesNotFitError
from glm3edge.llama.device_placement import ON_CPU
from glm3edge.llama.devices import CPU, add_workers, devices
from glm3edge.llama.fake_devices import add_fake_devices
from glm3edge.llama.gguf_file import tensor_sizes
from glm3edge.placement.budgets import DeviceBudget, cpu_budget, gpu_budget, gpu_budgets
from glm3edge.placement.layers import is_output, layer_of
from glm3edge.placement.memory_usage import ContextParams, measure_memory
from glm3edge.placement.search import CONTEXT_STEP, Fit, Search
from glm3edge.placement.speed import USED_CONTEXT, Speed, expected_speed
from glm3edge.placement.variants import Variant

COMPARED_KV_TYPES = ("f16", "q8_0")
"""Types of keys and values that cost no quality worth mentioning."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """A model and a machine to plan for.

    Attributes:
        variants: the types to compare, of one model.
        context_params: parameters of the context.
        max_context: largest context of the model, in tokens.
        gpus: free bytes of each GPU of the machine; None takes this machine's GPUs.
        ram: free bytes of main memory; None takes this machine's.
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
    """Plan for one type.

    Attributes:
        variant: the model in this type.
        fit: its best placement, None if it does not fit.
        failure: error of the search if it does not fit.
        largest_context: largest context with which it fits, in tokens; 0 if none does.
        read_bytes: bytes that a token reads on each device.
    """

    variant: Variant
    fit: Fit | None
    failure: DoesNotFitError | None
    largest_context: int
    read_bytes: Mapping[str, int] = field(default_factory=dict)

    def speed(self, bandwidths: Mapping[str, float | None]) -> Speed | None:
        """Expected speed (see ``expected_speed()``)."""
        return expected_speed(self.read_bytes, bandwidths)


@dataclass(frozen=True, slots=True)
class PlanResult:
    """Result of a PlanRequest.

    Attributes:
        budgets: of the devices that layers can be offloaded to.
        cpu: the CPU's budget.
        labels: display names of the devices.
        cards: products of this machine's GPUs, by device.
        kv_bytes: bytes of the context's keys and values in each of COMPARED_KV_TYPES.
        plans: one for each variant.
    """

    budgets: tuple[DeviceBudget, ...]
    cpu: DeviceBudget
    labels: Mapping[str, str]
    cards: Mapping[str, str]
    kv_bytes: Mapping[str, int]
    plans: tuple[TypePlan, ...]


def compare_types(request: PlanRequest) -> PlanResult:
    """Plan for each variant, in a child process where devices are involved.

    It adds devices to its process for good, and llama.cpp ends the process if one is lost.

    Raises:
        DeviceError: a device or a fake device is not available.
        ModelError: a variant is no model.
    """
    budgets, labels, cards = _gpu_budgets(request)
    cpu = cpu_budget(request.ram)
    first = request.variants[0].path
    kv_bytes = {}
    for kv_type in COMPARED_KV_TYPES:
        context_params = replace(request.context_params, kv_type=kv_type)
        kv_bytes[kv_type] = measure_memory(first, ON_CPU, context_params)[CPU].keys_values
    plans = tuple(
        _plan(variant, Search(variant.path, budgets, cpu), request) for variant in request.variants
    )
    return PlanResult(budgets, cpu, labels, cards, kv_bytes, plans)


def recommended(
    plans: Sequence[TypePlan], default: str, bandwidths: Mapping[str, float | None]
) -> TypePlan | None:
    """The plan to recommend, None if none fits.

    The largest type that is entirely on the devices, if it is not smaller than the default; else
    the default; else the largest that fits. Types of more than eight bits gain nothing visible.
    Of two types as good as each other, the smaller is taken where it is clearly faster.
    """
    fitting = {plan.variant.type: plan for plan in plans if plan.fit is not None}
    by_size = sorted(fitting.values(), key=lambda plan: plan.variant.num_bytes)
    usual = fitting.get(default)
    whole = [
        plan
        for plan in by_size
        if plan.fit is not None and plan.fit.is_whole and plan.variant.type not in _NO_GAIN
    ]
    if whole and (usual is None or whole[-1].variant.num_bytes >= usual.variant.num_bytes):
        best = whole[-1]
    elif by_size:
        best = usual or by_size[-1]
    else:
        return None
    equal = fitting.get(EQUALS.get(best.variant.type, ""))
    ratio = equal and speed_ratio(equal, best, bandwidths)
    return equal if equal is not None and ratio and ratio >= _CLEARLY_FASTER else best


def speed_ratio(
    plan: TypePlan, other: TypePlan, bandwidths: Mapping[str, float | None]
) -> float | None:
    """How many times as fast as another a plan is, None if that is not known."""
    speeds = [plan.speed(bandwidths), other.speed(bandwidths)]
    found = [speed.tokens_per_second for speed in speeds if speed and not speed.is_at_most]
    return found[0] / found[1] if len(found) == len(speeds) else None


EQUALS = {"q8_0": "q6_k", "q5_k_m": "q5_k_s", "q4_k_m": "q4_k_s"}
"""For a type a smaller one that predicts about as well: see the divergences in docs/models.md."""

_CLEARLY_FASTER = 1.2
_NO_GAIN = {"f16", "bf16", "f32"}


def _gpu_budgets(
    request: PlanRequest,
) -> tuple[tuple[DeviceBudget, ...], dict[str, str], dict[str, str]]:
    """Budgets, labels and products of the devices; workers' come first, as in llama.cpp."""
    remote = add_workers(request.workers)
    labels, cards = {device.name: device.name for device in remote}, {}
    budgets = gpu_budgets(remote)
    if request.gpus is None:
        here = [device for device in devices() if device.name not in labels]
        budgets += gpu_budgets(here)
        labels |= {device.name: device.name for device in here}
        cards = {device.name: device.description for device in here if device.is_offload}
    elif request.gpus:
        fakes = add_fake_devices(len(request.gpus))
        for index, (device, free) in enumerate(zip(fakes, request.gpus, strict=True)):
            budgets.append(gpu_budget(device.name, free, is_fake=True))
            labels[device.name] = f"GPU{index}"
    return tuple(budgets), {**labels, CPU: CPU}, cards


def _plan(variant: Variant, search: Search, request: PlanRequest) -> TypePlan:
    context_params = request.context_params
    fit, failure = None, None
    try:
        fit = search.best(context_params)
    except DoesNotFitError as exc:
        failure = exc
    largest = search.largest(
        replace(context_params, context_size=max(request.max_context, context_params.context_size)),
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
        for device in fit.memory_usage.devices
    }
