"""The context that the engine computes with: in this process, or beside it where devices are."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from glm3edge.config import Settings
from glm3edge.engine.engine import num_slots
from glm3edge.errors import EngineLostError, ModelError
from glm3edge.llama.adapter import Adapter
from glm3edge.llama.context import KV_TYPES, Context
from glm3edge.llama.devices import Device
from glm3edge.llama.model import Model
from glm3edge.llama.offload import key_value_bytes
from glm3edge.llama.placement import Placement
from glm3edge.llama.prefix import Prefix
from glm3edge.llama.remote import AdapterSpec, ContextSpec, RemoteContext, Report
from glm3edge.placing import (
    check_fits,
    check_nothing_asked,
    chosen_placement,
    fitting_placement,
    offload_devices,
)
from glm3edge.planning.account import Workload
from glm3edge.store import AdapterFile, PrefixFile
from glm3edge.system_memory import system_memory

DEFAULT_CONTEXT_SIZE = 8192
"""Tokens of context unless told otherwise: 224 MiB of memory for ChatGLM3-6B."""

BATCH_SIZE = 128
"""Tokens in a batch: enough to keep the processor busy, few enough to stop soon when cancelled."""

_SMALLER_CONTEXTS = (8192, 4096, 2048, 1024)
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class EngineBackend:
    """A model and its context; both are closed with it.

    ``model`` has its weights only where the context is in this process.
    """

    model: Model
    context: Context | RemoteContext

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
    found = offload_devices(settings.rpc)
    with ExitStack() as stack:
        if found:
            model = stack.enter_context(Model(path, no_alloc=True))
            placement = _placement(model, settings, found)
            if not placement.is_on_cpu:
                made = EngineBackend(model, _open_beside(model, settings, placement, adapters))
                stack.pop_all()
                return made
        else:
            check_nothing_asked(settings)
        model = stack.enter_context(Model(path))
        made = EngineBackend(model, _open_here(model, settings, adapters))
        stack.pop_all()
        return made


def _placement(
    model: Model,
    settings: Settings,
    found: Sequence[Device],
) -> Placement:
    """As asked, if it fits; or what fits best."""
    workload = Workload(
        _context_size(model, settings), BATCH_SIZE, num_slots(settings.parallel), settings.kv_type
    )
    placement = chosen_placement(settings, found, num_layers=model.num_layers)
    if placement is None:
        return fitting_placement(model.path, found, workload, settings)
    if not placement.is_on_cpu:
        check_fits(model.path, placement, found, workload, settings)
    return placement


def _open_here(
    model: Model, settings: Settings, adapters: Sequence[AdapterFile | PrefixFile]
) -> Context:
    size = _context_size(model, settings)
    _check_memory(model, size, settings.kv_type)
    return Context(
        model,
        context_size=size,
        batch_size=BATCH_SIZE,
        num_sequences=num_slots(settings.parallel),
        num_threads=settings.num_threads,
        kv_type=settings.kv_type,
        adapters=[_load(model, file) for file in adapters],
    )


def _open_beside(
    model: Model,
    settings: Settings,
    placement: Placement,
    adapters: Sequence[AdapterFile | PrefixFile],
) -> RemoteContext:
    spec = ContextSpec(
        path=model.path,
        placement=placement,
        workers=settings.rpc,
        context_size=_context_size(model, settings),
        batch_size=BATCH_SIZE,
        num_sequences=num_slots(settings.parallel),
        num_threads=settings.num_threads,
        kv_type=settings.kv_type,
        adapters=tuple(
            AdapterSpec(file.path, file.scale if isinstance(file, AdapterFile) else None)
            for file in adapters
        ),
    )
    try:
        return RemoteContext(model, spec)
    except EngineLostError as exc:
        raise ModelError(f"cannot load {model.path}: {exc.reason}") from exc


def _load(model: Model, file: AdapterFile | PrefixFile) -> Adapter | Prefix:
    if isinstance(file, PrefixFile):
        return Prefix(model, file.path)
    return Adapter(model, file.path, scale=file.scale)


def _context_size(model: Model, settings: Settings) -> int:
    return settings.ctx_size or min(model.context_length, DEFAULT_CONTEXT_SIZE)


def _check_memory(model: Model, context_size: int, kv_type: str) -> None:
    """Refuse what the system would kill the process for: memory is taken page by page."""
    needed = model.num_bytes + key_value_bytes(model, context_size, kv_type)
    present = system_memory().total
    if needed <= present:
        return
    advice = next(
        (
            f"--ctx-size {size} --kv-type {other} would fit"
            for size in (context_size, *_SMALLER_CONTEXTS)
            for other in KV_TYPES
            if size <= context_size
            and model.num_bytes + key_value_bytes(model, size, other) <= present
        ),
        "take a smaller quantization; glm3edge plan tells which fits",
    )
    raise ModelError(
        f"{model.path.name} with a context of {context_size} tokens takes {needed / _GIB:,.1f} GiB "
        f"and this machine has {present / _GIB:,.1f} GiB: {advice}"
    )
