"""Services that requests are served with: chat, texts, embeddings, tokens, stored responses."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from glm3edge.config.settings import Settings
from glm3edge.engine.encoder_queue import BatchThread, EncoderQueue
from glm3edge.engine.engine import Engine
from glm3edge.engine.interface import InferenceEngine
from glm3edge.errors import InvalidRequestError
from glm3edge.llama.encoder import Encoder
from glm3edge.llama.guidance import Guide
from glm3edge.llama.model import Model
from glm3edge.llama.reranker import Reranker
from glm3edge.schema.models import ModelCard
from glm3edge.serving.chat.service import ChatService
from glm3edge.serving.completions import CompletionService
from glm3edge.serving.embedders import ChatModelEmbedder, EncoderEmbedder
from glm3edge.serving.embeddings import Embedder, EmbeddingService
from glm3edge.serving.generation import ModelNames
from glm3edge.serving.model_file import ModelFile
from glm3edge.serving.rerank import RerankService
from glm3edge.serving.responses.store import ResponseStore
from glm3edge.serving.tokenization import TokenizationService
from glm3edge.store.adapters import check_adapter_names


@dataclass(frozen=True, slots=True)
class Services:
    """An engine and the services that run on it. The application starts and closes the engine.

    ``cards`` describe the chat model, then its adapters, then the embedding model if it is another,
    then the reranker; without models for them ``embeddings`` and ``rerank`` are None. ``files`` are
    those of the chat and the embedding model, by their names.
    """

    engine: InferenceEngine
    chat: ChatService
    texts: CompletionService
    embeddings: EmbeddingService | None
    tokens: TokenizationService
    cards: tuple[ModelCard, ...]
    files: Mapping[str, ModelFile] = field(default_factory=dict)
    rerank: RerankService | None = None
    responses: ResponseStore = field(default_factory=ResponseStore)

    def embedding_service(self) -> EmbeddingService:
        """The embeddings.

        Raises:
            InvalidRequestError: there is no model for them.
        """
        if self.embeddings is None:
            text = "the engine makes no embeddings: start the server with --embedding-model MODEL"
            raise InvalidRequestError(text)
        return self.embeddings

    @property
    def card(self) -> ModelCard:
        """Card of the chat model."""
        return self.cards[0]


def build_services(
    engine: InferenceEngine,
    model: Model,
    names: ModelNames,
    settings: Settings,
    *,
    guide: Guide,
    encoder_thread: BatchThread,
    encoder: Encoder | None = None,
    reranker: Reranker | None = None,
    num_device_bytes: int = 0,
) -> Services:
    """Services of one model.

    Args:
        engine: computes for them.
        model: the chat model.
        names: of the model and its adapters.
        settings: of the server.
        guide: the engine's.
        encoder_thread: runs the other models; the engine, if it computes on this machine.
        encoder: the embedding model; without one the chat model makes embeddings, if it is here.
        reranker: None if there is none.
        num_device_bytes: bytes of the chat model's weights that are on devices.

    Raises:
        ConfigError: an adapter has the name of a model or of another adapter.
    """
    queue = partial(_queue, encoder_thread, settings=settings)
    embedder: Embedder | None = None
    if encoder is not None:
        embedder = EncoderEmbedder(queue(encoder), encoder)
    elif isinstance(engine, Engine):
        embedder = ChatModelEmbedder(
            engine, model, model_id=names.base, embedding_length=model.embedding_length
        )
    rerank = None
    if reranker is not None:
        rerank = RerankService(queue(reranker), reranker, model_id=reranker.model.name)
    others = [(one.model.name, one.context_size) for one in (encoder, reranker) if one is not None]
    cards = _cards(engine, names, others)
    check_adapter_names(names.adapters, models=[card.id for card in cards if card.parent is None])
    clamp_max_tokens = settings.clamp_max_tokens
    return Services(
        engine=engine,
        chat=ChatService(
            engine,
            model,
            model_id=names.base,
            adapter_ids=names.adapters,
            guide=guide,
            clamp_max_tokens=clamp_max_tokens,
        ),
        texts=CompletionService(
            engine,
            model,
            model_id=names.base,
            adapter_ids=names.adapters,
            guide=guide,
            clamp_max_tokens=clamp_max_tokens,
        ),
        embeddings=None if embedder is None else EmbeddingService(embedder),
        tokens=TokenizationService(model),
        cards=cards,
        files=_files(model, names, encoder, num_device_bytes),
        rerank=rerank,
    )


def _queue(thread: BatchThread, encoder: Encoder, *, settings: Settings) -> EncoderQueue:
    return EncoderQueue(
        thread,
        encoder,
        max_waiting=encoder.num_sequences * (1 + settings.queue),
        timeout=settings.timeout or math.inf,
    )


def _files(
    model: Model, names: ModelNames, encoder: Encoder | None, num_device_bytes: int
) -> dict[str, ModelFile]:
    files = {names.base: _file(model, num_device_bytes)}
    if encoder is not None:
        files[encoder.model.name] = _file(encoder.model)
    return files


def _file(model: Model, num_device_bytes: int = 0) -> ModelFile:
    stat = model.path.stat()
    return ModelFile(
        architecture=model.architecture,
        quant_type=model.file_type or "",
        num_params=model.num_params,
        num_layers=model.num_layers,
        embedding_length=model.embedding_length,
        num_bytes=stat.st_size,
        modified=stat.st_mtime,
        fingerprint=model.fingerprint,
        num_device_bytes=num_device_bytes,
    )


def _cards(
    engine: InferenceEngine, names: ModelNames, others: Iterable[tuple[str, int]]
) -> tuple[ModelCard, ...]:
    """Cards of the model and its adapters, and of other models by name and context size."""
    created, size = int(time.time()), engine.context_size
    base = ModelCard(id=names.base, created=created, context_length=size)
    adapters = [
        ModelCard(id=name, created=created, parent=names.base, context_length=size)
        for name in names.adapters
    ]
    encoders = [
        ModelCard(id=name, created=created, context_length=length) for name, length in others
    ]
    return (base, *adapters, *encoders)
