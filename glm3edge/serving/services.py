"""Services: what the routes serve requests with."""

from dataclasses import dataclass, field

from glm3edge.engine.engine import Engine
from glm3edge.schema.models import ModelCard
from glm3edge.serving.chat.service import ChatService
from glm3edge.serving.completions import CompletionService
from glm3edge.serving.embeddings import EmbeddingService
from glm3edge.serving.responses.store import ResponseStore
from glm3edge.serving.tokenization import TokenizationService


@dataclass(frozen=True, slots=True)
class Services:
    """The engine and the joins over it. The application starts and closes the engine.

    ``cards`` tell of the chat model, then of its adapters, then of the model for embeddings if that
    is another.
    """

    engine: Engine
    chat: ChatService
    texts: CompletionService
    embeddings: EmbeddingService
    tokens: TokenizationService
    cards: tuple[ModelCard, ...]
    responses: ResponseStore = field(default_factory=ResponseStore)

    @property
    def card(self) -> ModelCard:
        """The chat model's."""
        return self.cards[0]
