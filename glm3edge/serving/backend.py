"""Backend of the engine: a model and its context, opened on the CPU or on devices.

On the CPU the context is in this process, unless it is to be isolated or unloaded; on devices it is
in a child process, since llama.cpp ends its process when a device fails.
"""

import logging
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from glm3edge.config import defaults
from glm3edge.config.settings import Settings
from glm3edge.engine.kv_cache import num_slots
from glm3edge.errors import DoesNotFitError, EngineLostError, ModelError
from glm3edge.llama.adapter import Adapter
from glm3edge.llama.allocations import reports_allocations
from glm3edge.llama.context import Context
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import Device
from glm3edge.llama.model import Model
from glm3edge.llama.prefix import Prefix
from glm3edge.llama.remote_context import AdapterSpec, ContextSpec, RemoteContext, Report
from glm3edge.placement.advice import fit_or_advise
from glm3edge.placement.budgets import cpu_budget
from glm3edge.placement.devices import offload_devices
from glm3edge.placement.fitting import check_fits, fitting_placement
from glm3edge.placement.from_settings import check_no_device_options, chosen_placement
from glm3edge.placement.machine.cores import num_threads
from glm3edge.placement.machine.memory import system_memory
from glm3edge.placement.memory_usage import ContextParams
from glm3edge.store.adapters import AdapterFile, PrefixFile

logger = logging.getLogger(__name__)

_CONTEXT_STEP = 256  # contexts are multiples of it

BATCH_SIZE = 128
"""Tokens in a batch: enough to keep the processor busy, few enough to stop soon when cancelled."""


@dataclass(frozen=True, slots=True)
class EngineBackend:
    """A model and its context. Leaving its ``with`` block closes both.

    Attributes:
        model: without weights where the context is in a child process.
        context: computes for the engine.
        placement: where layers and KV cache are.
    """

    model: Model
    context: Context | RemoteContext
    placement: Placement = ON_CPU

    def __enter__(self) -> "EngineBackend":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.context.close()
        self.model.close()

    @property
    def recovery(self) -> RemoteContext | None:
        """The context, if it is in a child process that can be lost and restarted."""
        return self.context if isinstance(self.context, RemoteContext) else None

    @property
    def report(self) -> Report | None:
        """llama.cpp's report of its allocations, unless all are on the CPU."""
        return self.context.report if isinstance(self.context, RemoteContext) else None


def open_backend(
    path: Path, settings: Settings, adapters: Sequence[AdapterFile | PrefixFile]
) -> EngineBackend:
    """Load ``path`` with ``adapters`` on the devices that ``settings`` choose.

    Raises:
        ConfigError: the settings name a device or worker that is not there.
        ModelError: the model, an adapter or the context could not be made.
    """
    try:
        devices = offload_devices(settings.rpc)
        if not devices:
            check_no_device_options(settings)
            return _open_on_cpu(path, settings, adapters)
        return _open_on_devices(devices, path, settings, adapters)
    except EngineLostError as exc:
        raise ModelError(f"cannot load {path}: {exc.reason}") from exc


def _open_on_devices(
    devices: Sequence[Device],
    path: Path,
    settings: Settings,
    adapters: Sequence[AdapterFile | PrefixFile],
) -> EngineBackend:
    with ExitStack() as stack:
        model = stack.enter_context(Model(path, no_alloc=True))
        placement, context_params = _placement(model, settings, devices)
        if placement.is_on_cpu:
            return _open_on_cpu(path, settings, adapters)
        context = _open_child(model, settings, placement, context_params, adapters)
        stack.pop_all()
        return EngineBackend(model, context, placement)


def _placement(
    model: Model, settings: Settings, devices: Sequence[Device]
) -> tuple[Placement, ContextParams]:
    """The placement that was asked for, if it fits; without one, the best that fits."""
    context_params = _context_params(model, settings)
    device_bytes = sum(device.memory_total for device in devices)
    _check_memory(model, context_params, system_memory().total + device_bytes)
    placement = chosen_placement(settings, devices, num_layers=model.num_layers)
    if placement is None:
        return fitting_placement(model.path, devices, context_params, settings)
    if not placement.is_on_cpu:
        check_fits(model, placement, devices, context_params, settings.rpc)
    return placement, context_params


def _open_on_cpu(
    path: Path, settings: Settings, adapters: Sequence[AdapterFile | PrefixFile]
) -> EngineBackend:
    with ExitStack() as stack:
        is_isolated = settings.isolate or settings.idle_unload_seconds < math.inf
        model = stack.enter_context(Model(path, no_alloc=is_isolated))
        context_params = _context_params(model, settings)
        _check_memory(model, context_params, system_memory().total)
        if is_isolated:
            child = _open_child(model, settings, ON_CPU, context_params, adapters)
            stack.pop_all()
            return EngineBackend(model, child)
        logger.info(
            "the engine runs in this process, which ends if memory runs out; --isolate gives it "
            "one of its own"
        )
        context = Context(
            model,
            context_size=context_params.context_size,
            batch_size=context_params.batch_size,
            num_sequences=context_params.num_sequences,
            num_threads=num_threads(settings.threads),
            kv_type=context_params.kv_type,
            adapters=[_load(model, file) for file in adapters],
        )
        stack.pop_all()
        return EngineBackend(model, context)


def _open_child(
    model: Model,
    settings: Settings,
    placement: Placement,
    context_params: ContextParams,
    adapters: Sequence[AdapterFile | PrefixFile],
) -> RemoteContext:
    spec = ContextSpec(
        path=model.path,
        placement=placement,
        workers=() if placement.is_on_cpu else settings.rpc,
        context_size=context_params.context_size,
        batch_size=context_params.batch_size,
        num_sequences=context_params.num_sequences,
        num_threads=num_threads(settings.threads),
        kv_type=context_params.kv_type,
        adapters=tuple(
            AdapterSpec(file.path, file.scale if isinstance(file, AdapterFile) else None)
            for file in adapters
        ),
        stall_seconds=settings.stall_timeout,
    )
    return RemoteContext(model, spec)


def _load(model: Model, file: AdapterFile | PrefixFile) -> Adapter | Prefix:
    if isinstance(file, PrefixFile):
        return Prefix(model, file.path)
    return Adapter(model, file.path, scale=file.scale)


def _context_params(model: Model, settings: Settings) -> ContextParams:
    size = settings.ctx_size or min(model.context_length, defaults.CONTEXT_SIZE)
    return ContextParams(
        size,
        BATCH_SIZE,
        num_slots(settings.parallel),
        settings.kv_type,
        has_disk_cache=bool(settings.disk_cache),
    )


def _check_memory(model: Model, context_params: ContextParams, usable_bytes: int) -> None:
    """Refuse a model that can never fit.

    Memory is taken page by page, so that the system would kill the process while it loads.

    Args:
        model: what is to be loaded.
        context_params: what its context is made for.
        usable_bytes: memory of the system and all devices.

    Raises:
        DoesNotFitError: with advice on what would fit.
    """
    kv_bytes = partial(model.kv_cache_bytes, kv_type=context_params.kv_type)
    needed = model.num_bytes + kv_bytes(context_params.context_size)
    if needed <= usable_bytes:
        return
    fitting = (usable_bytes - model.num_bytes) // kv_bytes(_CONTEXT_STEP) * _CONTEXT_STEP
    if fitting <= 0 and reports_allocations():
        small = replace(context_params, context_size=_CONTEXT_STEP)
        fit_or_advise(model.path, (), cpu_budget(usable_bytes), small)
    advice = f"--ctx-size {fitting} fits" if fitting > 0 else "take a smaller quantization"
    raise DoesNotFitError(needed=needed, usable=usable_bytes, advice=advice)
