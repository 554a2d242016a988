"""The context that the engine computes with: in this process, or beside it where devices are."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

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
from glm3edge.store.store import AdapterFile, PrefixFile

DEFAULT_CONTEXT_SIZE = 8192
"""Tokens of context unless told otherwise: 224 MiB of memory for ChatGLM3-6B."""

_STEP = 256  # contexts are multiples of it

BATCH_SIZE = 128
"""Tokens in a batch: enough to keep the processor busy, few enough to stop soon when cancelled."""


@dataclass(frozen=True, slots=True)
class EngineBackend:
    """A model and its context; both are closed with it.

    ``model`` has its weights only where the context is in this process.
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
        """What can be lost and begun anew."""
        return self.context if isinstance(self.context, RemoteContext) else None

    @property
    def report(self) -> Report | None:
        """What llama.cpp says of where things are, if they are not all on the CPU."""
        return self.context.report if isinstance(self.context, RemoteContext) else None


def open_backend(
    path: Path, settings: Settings, adapters: Sequence[AdapterFile | PrefixFile]
) -> EngineBackend:
    """Load ``path`` with ``adapters``, where the settings say.

    Raises:
        ConfigError: the settings name what is not there.
        ModelError: the model, an adapter or the context could not be made.
    """
    try:
        found = offload_devices(settings.rpc)
        if not found:
            check_no_device_options(settings)
            return _open_here(path, settings, adapters)
        return _open_on(found, path, settings, adapters)
    except EngineLostError as exc:
        raise ModelError(f"cannot load {path}: {exc.reason}") from exc


def _open_on(
    found: Sequence[Device],
    path: Path,
    settings: Settings,
    adapters: Sequence[AdapterFile | PrefixFile],
) -> EngineBackend:
    with ExitStack() as stack:
        model = stack.enter_context(Model(path, no_alloc=True))
        placement, context_params = _placement(model, settings, found)
        if placement.is_on_cpu:
            return _open_here(path, settings, adapters)
        context = _open_beside(model, settings, placement, context_params, adapters)
        stack.pop_all()
        return EngineBackend(model, context, placement)


def _placement(
    model: Model, settings: Settings, found: Sequence[Device]
) -> tuple[Placement, ContextParams]:
    """As asked, if it fits; or what fits best."""
    context_params = _context_params(model, settings)
    memory = sum(device.memory_total for device in found)
    _check_memory(model, context_params, system_memory().total + memory)
    placement = chosen_placement(settings, found, num_layers=model.num_layers)
    if placement is None:
        return fitting_placement(model.path, found, context_params, settings)
    if not placement.is_on_cpu:
        check_fits(model, placement, found, context_params, settings.rpc)
    return placement, context_params


def _open_here(
    path: Path, settings: Settings, adapters: Sequence[AdapterFile | PrefixFile]
) -> EngineBackend:
    with ExitStack() as stack:
        model = stack.enter_context(Model(path))
        context_params = _context_params(model, settings)
        _check_memory(model, context_params, system_memory().total)
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


def _open_beside(
    model: Model,
    settings: Settings,
    placement: Placement,
    context_params: ContextParams,
    adapters: Sequence[AdapterFile | PrefixFile],
) -> RemoteContext:
    spec = ContextSpec(
        path=model.path,
        placement=placement,
        workers=settings.rpc,
        context_size=context_params.context_size,
        batch_size=context_params.batch_size,
        num_sequences=context_params.num_sequences,
        num_threads=num_threads(settings.threads),
        kv_type=context_params.kv_type,
        adapters=tuple(
            AdapterSpec(file.path, file.scale if isinstance(file, AdapterFile) else None)
            for file in adapters
        ),
    )
    return RemoteContext(model, spec)


def _load(model: Model, file: AdapterFile | PrefixFile) -> Adapter | Prefix:
    if isinstance(file, PrefixFile):
        return Prefix(model, file.path)
    return Adapter(model, file.path, scale=file.scale)


def _context_params(model: Model, settings: Settings) -> ContextParams:
    size = settings.ctx_size or min(model.context_length, DEFAULT_CONTEXT_SIZE)
    return ContextParams(size, BATCH_SIZE, num_slots(settings.parallel), settings.kv_type)


def _check_memory(model: Model, context_params: ContextParams, room: int) -> None:
    """Refuse what the system would kill the process for: memory is taken page by page.

    Args:
        model: what is to be loaded.
        context_params: what its context is made for.
        room: bytes of all devices' memory.

    Raises:
        DoesNotFitError: saying what would fit.
    """
    tokens = partial(model.kv_cache_bytes, kv_type=context_params.kv_type)
    needed = model.num_bytes + tokens(context_params.context_size)
    if needed <= room:
        return
    fitting = (room - model.num_bytes) // tokens(_STEP) * _STEP
    if fitting <= 0 and reports_allocations():
        small = replace(context_params, context_size=_STEP)
        fit_or_advise(model.path, (), cpu_budget(room), small)
    advice = f"--ctx-size {fitting} fits" if fitting > 0 else "take a smaller quantization"
    raise DoesNotFitError(needed=needed, usable=room, advice=advice)
