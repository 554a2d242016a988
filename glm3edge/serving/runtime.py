"""Runtime: opens a model file and builds the services over it."""

import logging
import math
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from glm3edge.chatglm3.vocabulary import MissingTokenError, SpecialTokens
from glm3edge.config.settings import Settings
from glm3edge.engine.disk_cache import DiskCache
from glm3edge.engine.encoder_queue import EncoderQueue
from glm3edge.engine.engine import Engine
from glm3edge.errors import ConfigError, ModelLoadError
from glm3edge.llama.encoder import ARCHITECTURE as ENCODER_ARCHITECTURE
from glm3edge.llama.encoder import Encoder
from glm3edge.llama.guidance import Guide
from glm3edge.llama.model import Model
from glm3edge.placement.machine.cores import num_threads
from glm3edge.schema.models import ModelCard
from glm3edge.serving.backend import EngineBackend, open_backend
from glm3edge.serving.chat.service import ChatService
from glm3edge.serving.completions import CompletionService
from glm3edge.serving.embedders import ChatModelEmbedder, EncoderEmbedder
from glm3edge.serving.embeddings import Embedder, EmbeddingService
from glm3edge.serving.generation import ModelNames
from glm3edge.serving.services import Services
from glm3edge.serving.tokenization import TokenizationService
from glm3edge.store.store import AdapterFile, PrefixFile

logger = logging.getLogger(__name__)

MIN_ENCODER_BATCH, MAX_ENCODER_BATCH = 512, 8192
"""Tokens in an encoder's batch: at least a text, at the most what memory is set aside for."""

NUM_ENCODER_TEXTS = 64
"""Texts in an encoder's batch; as many may wait for each request that may."""

HOLD_SECONDS = 1 / 60
"""How long tokens may wait for others that are sent with them: no screen shows more often."""


class Runtime:
    """A model, its context and what serves requests with them. Closing it closes them all."""

    def __init__(
        self,
        path: Path,
        settings: Settings,
        *,
        model_id: str | None = None,
        embedding_path: Path | None = None,
        adapters: Sequence[AdapterFile | PrefixFile] = (),
    ) -> None:
        """Load ``path`` with ``adapters``, and ``embedding_path`` for embeddings if it is given.

        Raises:
            ModelError: the model, an adapter or the context could not be made.
            ConfigError: an adapter has the name of a model or of another.
        """
        with ExitStack() as stack:
            backend = stack.enter_context(open_backend(path, settings, adapters))
            self.model, self.report, context = backend.model, backend.report, backend.context
            disk = _open_disk(backend, settings)
            if disk is not None:
                stack.callback(disk.close)
            engine = Engine(
                context,
                max_running=settings.parallel,
                max_waiting=settings.queue,
                disk=disk,
                timeout=settings.timeout or math.inf,
                use_drafts=settings.drafts,
                deterministic=settings.deterministic,
                coalesce_seconds=HOLD_SECONDS,
                recovery=backend.recovery,
            )
            encoder = None
            if embedding_path is not None:
                encoder_model = Model(embedding_path, architecture=ENCODER_ARCHITECTURE)
                stack.enter_context(encoder_model)
                encoder = stack.enter_context(_open_encoder(encoder_model, settings))
            stack.callback(engine.close)
            self.services = _make_services(
                engine,
                self.model,
                ModelNames(model_id or self.model.name, tuple(file.name for file in adapters)),
                encoder,
                settings,
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> "Runtime":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End what runs, then free everything. Idempotent."""
        self._stack.close()


def _open_encoder(model: Model, settings: Settings) -> Encoder:
    return Encoder(
        model,
        batch_size=max(min(model.context_length, MAX_ENCODER_BATCH), MIN_ENCODER_BATCH),
        num_sequences=NUM_ENCODER_TEXTS,
        num_threads=num_threads(settings.threads),
    )


def _open_disk(backend: EngineBackend, settings: Settings) -> DiskCache | None:
    """The disk cache, if one is wanted; a folder that cannot be had is no reason not to serve."""
    if not settings.disk_cache:
        return None
    folder = settings.cache_dir / "states"
    try:
        suffix = f" deterministic {backend.placement}" if settings.deterministic else ""
        key, *adapter_keys = (f"{key}{suffix}" for key in backend.context.state_keys)
        return DiskCache(folder, key=key, max_bytes=settings.disk_cache, adapter_keys=adapter_keys)
    except OSError as exc:
        logger.warning("no disk cache: %s: %s", folder, exc.strerror or exc)
        return None


def _make_services(
    engine: Engine, model: Model, names: ModelNames, encoder: Encoder | None, settings: Settings
) -> Services:
    embedder: Embedder
    model_id, adapter_ids = names.base, names.adapters
    created = int(time.time())
    size = engine.context_size
    cards = [ModelCard(id=model_id, created=created, context_length=size)]
    for adapter_id in adapter_ids:
        card = ModelCard(id=adapter_id, created=created, parent=model_id, context_length=size)
        cards.append(card)
    try:
        if encoder is None:
            embedder = ChatModelEmbedder(
                engine, model, model_id=model_id, embedding_length=model.embedding_length
            )
        else:
            queue = EncoderQueue(
                engine,
                encoder,
                max_waiting=NUM_ENCODER_TEXTS * (1 + settings.queue),
                timeout=settings.timeout or math.inf,
            )
            embedder = EncoderEmbedder(queue, encoder)
            other = ModelCard(
                id=embedder.model_id, created=created, context_length=embedder.context_size
            )
            cards.append(other)
        _check_names(cards)
        return Services(
            engine=engine,
            chat=ChatService(
                engine,
                model,
                model_id=model_id,
                adapter_ids=adapter_ids,
                guide=Guide(model, end_ids=SpecialTokens.of(model).stop_ids),
                clamp_max_tokens=settings.clamp_max_tokens,
            ),
            texts=CompletionService(
                engine,
                model,
                model_id=model_id,
                adapter_ids=adapter_ids,
                clamp_max_tokens=settings.clamp_max_tokens,
            ),
            embeddings=EmbeddingService(embedder),
            tokens=TokenizationService(model),
            cards=tuple(cards),
        )
    except MissingTokenError as exc:
        raise ModelLoadError(model.path, str(exc)) from exc


def _check_names(cards: Sequence[ModelCard]) -> None:
    """Refuse an adapter that could not be asked for."""
    models = {card.id for card in cards if card.parent is None}
    adapters = Counter(card.id for card in cards if card.parent is not None)
    for name, count in adapters.items():
        if name in models:
            raise ConfigError(f"an adapter and a model are both called {name}: rename the adapter")
        if count > 1:
            raise ConfigError(f"two adapters are called {name}: rename one of them")
