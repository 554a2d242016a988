"""Report of ``glm3edge plan``: as text, as JSON, and a command that serves as recommended."""

import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from glm3edge.commands.plan.bandwidths import Bandwidth
from glm3edge.commands.tables import new_table, render_table
from glm3edge.config import defaults
from glm3edge.config.kv_types import DEFAULT_KV_TYPE
from glm3edge.config.settings import Settings
from glm3edge.llama.devices import CPU
from glm3edge.placement.budgets import DeviceBudget
from glm3edge.placement.compare import (
    COMPARED_KV_TYPES,
    EQUALS,
    PlanRequest,
    PlanResult,
    TypePlan,
    recommended,
    speed_ratio,
)
from glm3edge.placement.speed import USED_CONTEXT, Speed
from glm3edge.placement.variants import PlannedModel
from glm3edge_convert.counts import counted
from glm3edge_convert.quantize.recipe import DEFAULT_TYPE

EXAMPLE_MODEL = "chatglm3-6b"
"""Model that the recommended command names if the user has named none."""

_GIB, _MIB, _GB = 2**30, 2**20, 1e9
_MAX_WIDTH = 100
_HEAD_WIDTH = len("memory   ")
_ROUNDED = 10  # from here on a fraction says nothing


@dataclass(frozen=True, slots=True)
class PlanReport:
    """Report of a plan.

    Attributes:
        model: the model.
        request: parameters of the plan.
        result: plans of each quantization.
        settings: what the user has set of the server's settings.
        bandwidths: memory bandwidth of each device.
    """

    model: PlannedModel
    request: PlanRequest
    result: PlanResult
    settings: Settings
    bandwidths: Mapping[str, Bandwidth]

    @property
    def budgets(self) -> tuple[DeviceBudget, ...]:
        """Budgets of all devices, the CPU's last."""
        return (*self.result.budgets, self.result.cpu)

    @property
    def rates(self) -> dict[str, float | None]:
        """Bytes per second of each device."""
        return {device: bandwidth.rate for device, bandwidth in self.bandwidths.items()}

    @property
    def recommended(self) -> TypePlan | None:
        """Recommended plan, None if none fits, or the model was trained for a smaller context."""
        if self.is_beyond_training:
            return None
        return recommended(self.result.plans, DEFAULT_TYPE, self.rates)

    def speed(self, plan: TypePlan) -> Speed | None:
        """Expected speed of a plan, None if it does not fit or no bandwidth is known."""
        return plan.speed(self.rates)

    @property
    def is_beyond_training(self) -> bool:
        """Whether the context is larger than what the model was trained for."""
        return self.request.context_params.context_size > self.request.max_context

    def label(self, device: str) -> str:
        """Label of a device."""
        return self.result.labels.get(device, device)

    def command(self, plan: TypePlan) -> str:
        """Command that serves the model as planned: the layers are placed so by default."""
        settings = self.settings
        words = ["glm3edge", "serve", self.model.name or EXAMPLE_MODEL]
        if self.model.file is None and plan.variant.type != DEFAULT_TYPE:
            words += ["--type", plan.variant.type]
        if settings.ctx_size:
            words += ["--ctx-size", str(settings.ctx_size)]
        if settings.parallel != defaults.PARALLEL:
            words += ["--parallel", str(settings.parallel)]
        if settings.kv_type != DEFAULT_KV_TYPE:
            words += ["--kv-type", settings.kv_type]
        for address in self.request.workers:
            words += ["--rpc", address]
        return shlex.join(words)

    def as_json(self) -> dict[str, Any]:
        """Data for JSON, with sizes in bytes."""
        context_params, best = self.request.context_params, self.recommended
        return {
            "model": self.model.name or EXAMPLE_MODEL,
            "context_size": context_params.context_size,
            "parallel": self.settings.parallel,
            "kv_type": context_params.kv_type,
            "devices": [
                {
                    "device": self.label(budget.device),
                    "free": budget.free,
                    "kept_free": budget.margin,
                    "bandwidth": self.bandwidths[budget.device].rate,
                    "bandwidth_source": self.bandwidths[budget.device].source or None,
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
        speed, fit, failure = self.speed(plan), plan.fit, plan.failure
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
    """Report as text: an answer, the command to run, a table, and what was planned with.

    Args:
        report: the report.
        width: of the terminal; None sets no limit.
    """
    best = report.recommended
    command = [] if best is None else [f"    {report.command(best)}", ""]  # not cut into lines
    paragraphs = [
        _wrapped(_answer(report), width),
        "",
        *command,
        render_table(_table(report), width),
        "",
        *(_wrapped(line, width) for line in _inputs(report)),
        "",
        _wrapped(_notes(report), width),
    ]
    return "\n".join(paragraphs)


def _wrapped(line: str, width: int | None) -> str:
    indent = " " * _HEAD_WIDTH if line[:_HEAD_WIDTH].endswith(" ") else ""
    return textwrap.fill(
        line,
        min(width or _MAX_WIDTH, _MAX_WIDTH),
        subsequent_indent=indent,
        break_on_hyphens=False,  # names of models and options
    )


def _answer(report: PlanReport) -> str:
    best, context_size = report.recommended, report.request.context_params.context_size
    if report.is_beyond_training:
        most = report.request.max_context
        return (
            f"No: the model was trained for {most:,} tokens, and replies get worse beyond; take "
            f"--ctx-size {most}, or a model for longer contexts."
        )
    if best is None:
        return f"No: {_remedy(report)}."
    sentences = [
        f"Yes: {best.variant.type}, {_expected(report, best)}, {context_size:,} tokens of context."
    ]
    if report.result.budgets:
        sentences.append(_place(report, best))
    larger = [
        plan for plan in report.result.plans if EQUALS.get(plan.variant.type) == best.variant.type
    ]
    for plan in larger:
        ratio = speed_ratio(best, plan, report.rates)
        if ratio is not None:
            sentences.append(
                f"{best.variant.type} is about as good as {plan.variant.type} and {ratio:.1f} "
                "times as fast here."
            )
    return " ".join(sentences)


def _expected(report: PlanReport, plan: TypePlan) -> str:
    """Expected speed, and how sure that is."""
    speed = report.speed(plan)
    unknown = ", ".join(
        report.label(device)
        for device, size in plan.read_bytes.items()
        if size and report.bandwidths[device].rate is None
    )
    if speed is None:
        return f"at an unknown speed ({unknown})"
    number = speed.tokens_per_second
    text = f"{number:.0f} tokens/s" if number >= _ROUNDED else f"{number:.1f} tokens/s"
    if speed.is_at_most:
        return f"at most {text} (the bandwidth of {unknown} is not known)"
    if any(size and report.bandwidths[device].is_guess for device, size in plan.read_bytes.items()):
        return f"perhaps {text} (the card's bandwidth is a guess)"
    return f"about {text}"


def _place(report: PlanReport, plan: TypePlan) -> str:
    assert plan.fit is not None  # noqa: S101 - for the type checker; what does not fit is not taken
    layers, gpus = plan.fit.layers, len(report.result.budgets)
    where = "the GPU" if gpus == 1 else "the GPUs"
    if plan.fit.is_whole:
        return f"All of its layers fit on {where}."
    num_there = len(layers) - layers.count(CPU)
    return f"{num_there} of its {len(layers)} layers fit on {where}, the others run on the CPU."


def _remedy(report: PlanReport) -> str:
    """What is missing where nothing fits, and what would fit."""
    contexts = [plan for plan in report.result.plans if plan.largest_context]
    if contexts:
        best = max(contexts, key=lambda plan: plan.variant.num_bytes)
        wanted = report.request.context_params.context_size
        return (
            f"not with {wanted:,} tokens of context. {best.variant.type} fits with "
            f"--ctx-size {best.largest_context}"
        )
    least = min(plan.failure.needed for plan in report.result.plans if plan.failure)
    besides = " besides the GPU memory" if report.result.budgets else ""
    return (
        f"it does not fit. At least {least / _GIB:.2f} GiB of RAM is needed{besides}, and "
        f"{report.result.cpu.usable / _GIB:.2f} GiB can be used"
    )


def _inputs(report: PlanReport) -> list[str]:
    context_params, kv_bytes = report.request.context_params, report.result.kv_bytes
    kv_sizes = ", ".join(f"{kv_bytes[t] / _MIB:,.0f} MiB in {t}" for t in COMPARED_KV_TYPES)
    memory = "; ".join(
        f"{report.label(budget.device)} {budget.free / _GIB:.1f} GiB free, "
        f"{budget.margin / _GIB:.1f} of them left free"
        for budget in report.budgets
    )
    rates = "; ".join(
        f"{report.label(device)} {_rate(bandwidth)}"
        for device, bandwidth in report.bandwidths.items()
    )
    if any(bandwidth.is_guess for bandwidth in report.bandwidths.values()):
        rates += "; --gpu-bandwidth 'RTX 4060' names the card"
    requests = counted(report.settings.parallel, "request")
    context = f"{context_params.context_size:,} tokens; their KV cache takes {kv_sizes}"
    return [
        f"model    {report.model.name or 'ChatGLM3-6B'}, {requests} at once",
        f"context  {context} (planned: {context_params.kv_type})",
        f"memory   {memory}",
        f"speed    {rates}",
    ]


def _rate(bandwidth: Bandwidth) -> str:
    if bandwidth.rate is None:
        return "unknown (--gpu-bandwidth)"
    number = bandwidth.rate / _GB
    return f"{number:,.{0 if number >= _ROUNDED else 1}f} GB/s ({bandwidth.source})"


def _table(report: PlanReport) -> Table:
    gpus = [report.label(budget.device) for budget in report.result.budgets]
    numbers = ("FILE", "LAYERS", *gpus, CPU, "BUFFERS", "CONTEXT", "TOKENS/S", "FITS")
    table = new_table("TYPE", *(f">{heading}" for heading in numbers), overflow="ellipsis")
    for plan in report.result.plans:
        table.add_row(*_row(report, plan))
    usable = [f"{budget.usable / _GIB:.2f}" for budget in report.budgets]
    table.add_row("available", "", "", *usable)
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
    speed = report.speed(plan)
    if speed is None:
        return "" if plan.fit is None else "?"
    return f"{'up to ' if speed.is_at_most else ''}{speed.tokens_per_second:.1f}"


def _notes(report: PlanReport) -> str:
    layers = " LAYERS counts those on each device in turn, and the output as one."
    return (
        f"Sizes are in GiB.{layers if report.result.budgets else ''} CONTEXT is the largest that "
        f"fits. TOKENS/S is what one request can expect with {USED_CONTEXT:,} tokens in its "
        "context, computed from the memory bandwidth."
    )
