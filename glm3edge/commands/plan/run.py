"""Run of ``glm3edge plan``: asks llama.cpp what fits, and measures bandwidth."""

from collections.abc import Sequence
from dataclasses import replace

from glm3edge.commands.plan.bandwidths import Bandwidth, find_bandwidths
from glm3edge.commands.plan.report import PlanReport
from glm3edge.config import defaults
from glm3edge.config.settings import Settings
from glm3edge.engine.kv_cache import num_slots
from glm3edge.errors import ConfigError, EngineLostError
from glm3edge.llama.child_process import run_in_child
from glm3edge.llama.devices import gpu_backends
from glm3edge.llama.model import Model
from glm3edge.llama.workers import worker_problem
from glm3edge.placement.compare import PlanRequest, PlanResult, compare_types
from glm3edge.placement.machine.bandwidth import read_bandwidth
from glm3edge.placement.machine.cores import num_threads
from glm3edge.placement.memory_usage import ContextParams
from glm3edge.placement.variants import PlannedModel, opened_variants, read_planned_model
from glm3edge.serving.backend import BATCH_SIZE
from glm3edge.store.hub.names import parse_name
from glm3edge.store.store import Store
from glm3edge_convert.models.chatglm.hparams import CHATGLM3_6B

MAX_CONTEXT_SIZE = 2**20
"""Tokens; llama.cpp's estimate itself takes memory for each."""


def find_planned_model(model: str | None, settings: Settings) -> PlannedModel:
    """Model to plan for: a local one, or one of ChatGLM3-6B's shape; its own need not be there.

    Raises:
        ConfigError: there is no such model on this machine.
        ModelError: the file is no model of ChatGLM3.
    """
    name = model and parse_name(model)
    try:
        path = None if model is None else Store(settings.cache_dir).look_up(model)
    except ConfigError:
        if not name or name.context_size is None:
            raise
        hparams = replace(CHATGLM3_6B, context_size=name.context_size)
        return PlannedModel(model, hparams)
    found = read_planned_model(model, path)
    if found.file is not None:
        with Model(found.file, vocab_only=True) as opened:
            _ = opened.vocab_handle  # serve refuses another vocabulary than ChatGLM3's
    return found


def make_report(
    model: PlannedModel,
    settings: Settings,
    *,
    types: Sequence[str],
    gpus: tuple[int, ...] | None,
    ram: int | None,
    cpu_bandwidth: float | None,
    gpu_bandwidth: float | None,
) -> PlanReport:
    """Plan each quantization, and measure bandwidth where it is not given.

    Args:
        model: the model.
        settings: context, requests at once, KV cache type, workers, threads.
        types: quantizations; none takes the usual ones.
        gpus: bytes of each GPU to plan for; None takes this machine's.
        ram: bytes for the CPU; None takes what is available on this machine.
        cpu_bandwidth: bytes per second; None measures it.
        gpu_bandwidth: bytes per second of each GPU; None looks up what cards they are.

    Raises:
        ConfigError: a worker or device cannot be asked, or the context is too large to plan.
        ModelError: the model cannot be read.
    """
    if settings.ctx_size > MAX_CONTEXT_SIZE:
        raise ConfigError(f"--ctx-size {settings.ctx_size}: plan takes at most {MAX_CONTEXT_SIZE}")
    most = model.hparams.context_size
    context_params = ContextParams(
        settings.ctx_size or min(most, defaults.CONTEXT_SIZE),
        BATCH_SIZE,
        num_slots(settings.parallel),
        settings.kv_type,
        has_disk_cache=bool(settings.disk_cache),
    )
    with opened_variants(model, types) as variants:
        if (reason := worker_problem(settings.rpc)) is not None:
            raise ConfigError(f"{reason}: start it with glm3edge worker")
        request = PlanRequest(variants, context_params, most, gpus, ram, settings.rpc)
        found = _compare(request)
    cpu = (
        Bandwidth(read_bandwidth(num_threads(settings.threads)), "measured here")
        if cpu_bandwidth is None
        else Bandwidth(cpu_bandwidth, "as given")
    )
    return PlanReport(
        model,
        request,
        found,
        settings=settings,
        bandwidths=find_bandwidths(found, cpu, gpu_bandwidth),
    )


def _compare(request: PlanRequest) -> PlanResult:
    """Plan in a child process where devices are asked, since a driver may abort it."""
    has_gpus = bool(gpu_backends()) if request.gpus is None else bool(request.gpus)
    if not has_gpus and not request.workers:
        return compare_types(request)
    try:
        return run_in_child(compare_types, request)
    except EngineLostError as exc:
        raise ConfigError(f"the devices cannot be queried: {exc.reason}") from exc
