"""Runtime: opens a model's files, and owns all that serves requests with them."""

import logging
import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from glm3edge.chatglm3.vocabulary import MissingTokenError, SpecialTokens
from glm3edge.config.settings import Settings
from glm3edge.engine.disk_cache import DiskCache
from glm3edge.engine.engine import Engine
from glm3edge.errors import ModelLoadError
from glm3edge.llama.devices import CPU
from glm3edge.llama.encoder import ARCHITECTURE as ENCODER_ARCHITECTURE
from glm3edge.llama.encoder import Encoder
from glm3edge.llama.guidance import Guide
from glm3edge.llama.model import Model
from glm3edge.llama.remote_context import Report
from glm3edge.llama.reranker import Reranker
from glm3edge.placement.machine.cores import num_threads
from glm3edge.serving.backend import EngineBackend, open_backend
from glm3edge.serving.generation import ModelNames
from glm3edge.serving.services import build_services
from glm3edge.store.adapters import AdapterFile, PrefixFile

AnyEncoder = TypeVar("AnyEncoder", bound=Encoder)

logger = logging.getLogger(__name__)

MIN_ENCODER_BATCH, MAX_ENCODER_BATCH = 512, 8192
"""Tokens in an encoder's batch: at least a text, at the most what memory is set aside for."""

NUM_ENCODER_TEXTS = 64
"""Texts in an encoder's batch; as many may wait for each request that may."""

COALESCE_SECONDS = 1 / 60
"""Tokens wait that long for others that are sent with them: no screen shows more often."""


class Runtime:
    """A model, its engine and the services over it. Closing it closes them all."""

    def __init__(
        self,
        path: Path,
        settings: Settings,
        *,
        model_id: str | None = None,
        embedding_path: Path | None = None,
        rerank_path: Path | None = None,
        adapters: Sequence[AdapterFile | PrefixFile] = (),
    ) -> None:
        """Load ``path`` with ``adapters``, and the files of other models that are given.

        Args:
            path: of the chat model.
            settings: of the server.
            model_id: name of the chat model; the file's if there is none.
            embedding_path: model that makes embeddings, instead of the chat model.
            rerank_path: model that reranks.
            adapters: that are served beside.

        Raises:
            ModelError: the model, an adapter or the context could not be made.
            ConfigError: an adapter has the name of a model or of another.
        """
        names = tuple(file.name for file in adapters)
        with ExitStack() as stack:
            backend = stack.enter_context(open_backend(path, settings, adapters))
            self.model, self.report = backend.model, backend.report
            _warn_beyond_training(backend)
            guide = make_guide(self.model)
            engine = _make_engine(backend, settings, guide, stack)
            encoder = open_encoder(Encoder, embedding_path, settings, stack)
            reranker = open_encoder(Reranker, rerank_path, settings, stack)
            stack.callback(engine.close)  # the first to close: its thread uses all of the above
            self.services = build_services(
                engine,
                self.model,
                ModelNames(model_id or self.model.name, names),
                settings,
                guide=guide,
                encoder_thread=engine,
                encoder=encoder,
                reranker=reranker,
                num_device_bytes=_num_device_bytes(backend.report),
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> "Runtime":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End what runs, then free everything. Idempotent."""
        self._stack.close()


def _warn_beyond_training(backend: EngineBackend) -> None:
    size, most = backend.context.context_size, backend.model.context_length
    if size > most:
        logger.warning(
            "--ctx-size %d: the model was trained for %d tokens; longer requests get worse replies",
            size,
            most,
        )


def _num_device_bytes(report: Report | None) -> int:
    """Bytes of the weights that are on devices, as far as llama.cpp reports it."""
    allocations = report.allocations if report is not None else ()
    return sum(part.weights for part in allocations if part.device != CPU)


def make_guide(model: Model) -> Guide:
    """Compiler of grammars for ``model``.

    Raises:
        ModelLoadError: it is no ChatGLM3 chat model.
    """
    try:
        return Guide(model, end_ids=SpecialTokens.of(model).stop_ids)
    except MissingTokenError as exc:
        raise ModelLoadError(model.path, str(exc)) from exc


def _make_engine(
    backend: EngineBackend, settings: Settings, guide: Guide, stack: ExitStack
) -> Engine:
    """The engine; ``stack`` closes its disk cache, the caller closes the engine before that."""
    disk = _open_disk_cache(backend, settings)
    if disk is not None:
        stack.callback(disk.close)
    return Engine(
        backend.context,
        max_running=settings.parallel,
        max_waiting=settings.queue,
        disk=disk,
        timeout=settings.timeout or math.inf,
        use_drafts=settings.drafts,
        deterministic=settings.deterministic,
        coalesce_seconds=COALESCE_SECONDS,
        recovery=backend.recovery,
        idle_unload=settings.idle_unload_seconds,
        guide=guide,
    )


def open_encoder(
    kind: type[AnyEncoder], path: Path | None, settings: Settings, stack: ExitStack
) -> AnyEncoder | None:
    """The encoder in ``path`` if there is one, which ``stack`` closes."""
    if path is None:
        return None
    model = stack.enter_context(Model(path, architecture=ENCODER_ARCHITECTURE))
    encoder = kind(
        model,
        batch_size=max(min(model.context_length, MAX_ENCODER_BATCH), MIN_ENCODER_BATCH),
        num_sequences=NUM_ENCODER_TEXTS,
        num_threads=num_threads(settings.threads),
    )
    stack.enter_context(encoder)
    return encoder


def _open_disk_cache(backend: EngineBackend, settings: Settings) -> DiskCache | None:
    """The disk cache, if one is wanted; a folder that cannot be used is only warned of."""
    if not settings.disk_cache:
        return None
    folder = settings.cache_dir / "states"
    try:
        suffix = f" deterministic {backend.placement}" if settings.deterministic else ""
        key, *adapter_keys = (f"{key}{suffix}" for key in backend.context.state_keys)
        return DiskCache(
            folder,
            key=key,
            max_bytes=settings.disk_cache,
            max_waiting_tokens=backend.context.context_size,
            adapter_keys=adapter_keys,
        )
    except OSError as exc:
        logger.warning("no disk cache: %s: %s", folder, exc.strerror or exc)
        return None
