"""Report of ``glm3edge plan``: as text, as JSON, and a command that serves as recommended."""

import shlex
import textwrap
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from glm3edge.commands.tables import new_table, render_table
from glm3edge.llama.devices import CPU
from glm3edge.placement.budgets import DeviceBudget
from glm3edge.placement.compare import (
    COMPARED_KV_TYPES,
    PlanRequest,
    PlanResult,
    TypePlan,
    recommended,
)
from glm3edge.placement.search import Fit
from glm3edge.placement.speed import USED_CONTEXT
from glm3edge.placement.variants import PlannedModel
from glm3edge_convert.quantize.recipe import DEFAULT_TYPE

EXAMPLE_MODEL = "zai-org/chatglm3-6b"
"""Model that the recommended command names if the user has named none."""

_GIB, _MIB, _GB = 2**30, 2**20, 1e9
_MAX_WIDTH = 100
_HEAD_WIDTH = len("memory   ")


@dataclass(frozen=True, slots=True)
class PlanReport:
    """Report of a plan.

    Attributes:
        model: the model.
        request: parameters of the plan.
        result: plans of each quantization.
        parallel: requests at once.
        cpu_bandwidth: bytes per second.
        is_measured: whether that was measured, on this machine.
        gpu_bandwidth: bytes per second of each GPU, None if unknown.
    """

    model: PlannedModel
    request: PlanRequest
    result: PlanResult
    parallel: int
    cpu_bandwidth: float
    is_measured: bool
    gpu_bandwidth: float | None

    @property
    def budgets(self) -> tuple[DeviceBudget, ...]:
        """Budgets of all devices, the CPU's last."""
        return (*self.result.budgets, self.result.cpu)

    @property
    def bandwidths(self) -> dict[str, float | None]:
        """Bytes per second of each device."""
        gpus = {budget.device: self.gpu_bandwidth for budget in self.result.budgets}
        return {CPU: self.cpu_bandwidth, **gpus}

    @property
    def recommended(self) -> TypePlan | None:
        """Recommended plan, None if none fits, or the model was trained for a smaller context."""
        if self.is_beyond_training:
            return None
        return recommended(self.result.plans, DEFAULT_TYPE)

    @property
    def is_beyond_training(self) -> bool:
        """Whether the context is larger than what the model was trained for."""
        return self.request.context_params.context_size > self.request.max_context

    def label(self, device: str) -> str:
        """Label of a device."""
        return self.result.labels.get(device, device)

    def command(self, plan: TypePlan) -> str:
        """Command that serves the model as planned."""
        context_params = self.request.context_params
        words = ["glm3edge", "serve", self.model.name or EXAMPLE_MODEL]
        if self.model.file is None:
            words += ["--type", plan.variant.type]
        if self.result.budgets and plan.fit is not None:
            words += self._placement_options(plan.fit)
        words += ["--ctx-size", str(context_params.context_size), "--parallel", str(self.parallel)]
        if context_params.kv_type != "f16":
            words += ["--kv-type", context_params.kv_type]
        for address in self.request.workers:
            words += ["--rpc", address]
        return shlex.join(words)

    def _placement_options(self, fit: Fit) -> list[str]:
        """Options for a placement; ``auto`` if no options can express it.

        Shares are given for all devices, in llama.cpp's order.
        """
        placement, names = fit.placement, [budget.device for budget in self.result.budgets]
        if placement.is_on_cpu:
            return ["--gpu-layers", "0"]
        if list(placement.devices) != [name for name in names if name in placement.devices]:
            return ["--gpu-layers", "auto"]
        words = ["--gpu-layers", "all" if fit.is_whole else str(placement.num_gpu_layers)]
        if len(names) > 1:
            shares = dict(zip(placement.devices, placement.tensor_split, strict=True))
            words += ["--tensor-split", ",".join(f"{shares.get(name, 0):g}" for name in names)]
        for pattern, device in placement.overrides:
            words += ["--tensor-placement", f"{pattern}={device}"]
        return words

    def as_json(self) -> dict[str, Any]:
        """Data for JSON, with sizes in bytes."""
        context_params, best = self.request.context_params, self.recommended
        return {
            "model": self.model.name or EXAMPLE_MODEL,
            "context_size": context_params.context_size,
            "parallel": self.parallel,
            "kv_type": context_params.kv_type,
            "devices": [
                {
                    "device": self.label(budget.device),
                    "free": budget.free,
                    "kept_free": budget.margin,
                    "bandwidth": self.bandwidths[budget.device],
                }
                for budget in self.budgets
            ],
            "keys_values": dict(self.result.kv_bytes),
            "types": [self._plan_json(plan) for plan in self.result.plans],
            "recommended": None
            if best is None
            else {"type": best.variant.type, "command": self.command(best)},
        }

    def _plan_json(self, plan: TypePlan) -> dict[str, Any]:
        speed, fit, failure = plan.speed(self.bandwidths), plan.fit, plan.failure
        return {
            "type": plan.variant.type,
            "file_size": plan.variant.num_bytes,
            "fits": fit is not None,
            "needed_on_cpu": failure.needed if failure else None,
            "largest_context": plan.largest_context,
            "layers": None
            if fit is None
            else {self.label(device): count for device, count in fit.num_layers.items()},
            "left_to_cpu": None if fit is None else [p for p, _ in fit.placement.overrides],
            "memory": None
            if fit is None
            else {
                self.label(device.device): {
                    "weights": device.weights,
                    "keys_values": device.keys_values,
                    "compute": device.compute,
                    "output": device.output,
                    "states": device.states,
                    "total": device.total,
                }
                for device in fit.memory_usage.devices
            },
            "read_per_token": {self.label(name): size for name, size in plan.read_bytes.items()},
            "tokens_per_second": round(speed.tokens_per_second, 2) if speed else None,
            "is_at_most": speed.is_at_most if speed else None,
        }


def as_text(report: PlanReport, width: int | None) -> str:
    """Report as text: a heading, a table, notes and the recommended command.

    Args:
        report: the report.
        width: of the terminal; None sets no limit.
    """
    paragraphs = [
        *(_wrapped(line, width) for line in _head(report)),
        "",
        render_table(_table(report), width),
        "",
        _wrapped(_notes(report), width),
        "",
        *_conclusion(report),  # a command is not cut into lines
    ]
    return "\n".join(paragraphs)


def _wrapped(line: str, width: int | None) -> str:
    indent = " " * _HEAD_WIDTH if line[:_HEAD_WIDTH].endswith(" ") else ""
    return textwrap.fill(line, min(width or _MAX_WIDTH, _MAX_WIDTH), subsequent_indent=indent)


def _head(report: PlanReport) -> list[str]:
    context_params, kv_bytes = report.request.context_params, report.result.kv_bytes
    keys_values = " or ".join(f"{kv_bytes[t] / _MIB:,.0f} MiB in {t}" for t in COMPARED_KV_TYPES)
    budgets = ", ".join(
        f"{report.label(budget.device)} {budget.free / _GIB:.1f} GiB free, of which "
        f"{budget.margin / _GIB:.1f} are kept free"
        for budget in report.budgets
    )
    size = context_params.context_size
    return [
        f"model    {report.model.name or 'ChatGLM3-6B'}, {report.parallel} requests at once",
        f"context  {size} tokens: keys and values take {keys_values} as {context_params.kv_type}",
        f"memory   {budgets}",
    ]


def _table(report: PlanReport) -> Table:
    gpus = [report.label(budget.device) for budget in report.result.budgets]
    numbers = ("FILE", "LAYERS", *gpus, CPU, "BUFFERS", "CONTEXT", "TOKENS/S", "FITS")
    table = new_table("TYPE", *(f">{heading}" for heading in numbers), overflow="ellipsis")
    for plan in report.result.plans:
        table.add_row(*_row(report, plan))
    usable = [f"{budget.usable / _GIB:.2f}" for budget in report.budgets]
    table.add_row("there is", "", "", *usable)
    return table


def _row(report: PlanReport, plan: TypePlan) -> list[str]:
    fit = plan.fit
    cells = [plan.variant.type, f"{plan.variant.num_bytes / _GIB:.2f}"]
    if fit is None:
        cells += ["", *("" for _ in report.result.budgets)]
        cells += [f"{plan.failure.needed / _GIB:.2f}" if plan.failure else "", ""]
    else:
        cells.append("+".join(str(fit.layers.count(budget.device)) for budget in report.budgets))
        cells += [
            f"{fit.memory_usage[budget.device].total / _GIB:.2f}" for budget in report.budgets
        ]
        devices = fit.memory_usage.devices
        buffers = sum(device.compute + device.output + device.states for device in devices)
        cells.append(f"{buffers / _GIB:.2f}")
    return [
        *cells,
        str(plan.largest_context or "none"),
        _speed(report, plan),
        "no" if fit is None else "yes",
    ]


def _speed(report: PlanReport, plan: TypePlan) -> str:
    speed = plan.speed(report.bandwidths)
    if speed is None:
        return "" if plan.fit is None else "?"
    return f"{'up to ' if speed.is_at_most else ''}{speed.tokens_per_second:.1f}"


def _notes(report: PlanReport) -> str:
    where = "measured on this machine" if report.is_measured else "as given"
    rates = f"{report.cpu_bandwidth / _GB:.1f} GB/s of the CPU's memory, {where}"
    if report.gpu_bandwidth:
        rates += f", and {report.gpu_bandwidth / _GB:.0f} GB/s of the GPUs', as given"
    elif report.result.budgets:
        rates += "; the GPUs' is not known (--gpu-bandwidth), so their time comes on top"
    return (
        "Sizes are in GiB. LAYERS are those on each device in turn, the output counts as one. "
        "CONTEXT is the largest that fits. TOKENS/S is what one request can expect at "
        f"{USED_CONTEXT} tokens from {rates}."
    )


def _conclusion(report: PlanReport) -> list[str]:
    best, most = report.recommended, report.request.max_context
    if report.is_beyond_training:
        advice = f"take --ctx-size {most}, or a model for longer contexts"
        return [f"The model was trained for {most} tokens, and replies get worse beyond: {advice}."]
    if best is None:
        return [f"Nothing fits. {_advice(report)}"]
    return [f"Take {best.variant.type}: {_why(report, best)}.", report.command(best)]


def _why(report: PlanReport, plan: TypePlan) -> str:
    assert plan.fit is not None  # noqa: S101 - for the type checker; what does not fit is not taken
    if not report.result.budgets:
        return "it fits into memory"
    if plan.fit.is_whole:
        return "all of its layers are on the GPU"
    return "no larger part of it fits on the GPU"


def _advice(report: PlanReport) -> str:
    contexts = [plan for plan in report.result.plans if plan.largest_context]
    if contexts:
        best = max(contexts, key=lambda plan: plan.variant.num_bytes)
        return f"{best.variant.type} does with --ctx-size {best.largest_context}."
    least = min(plan.failure.needed for plan in report.result.plans if plan.failure)
    return f"{least / _GIB:.2f} GiB of memory are needed besides the GPUs' at least."
