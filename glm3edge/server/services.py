"""Services: what the routes serve requests with."""

from dataclasses import dataclass, field

from glm3edge.completion import ChatCompleter
from glm3edge.embedding import EmbeddingMaker
from glm3edge.engine.engine import Engine
from glm3edge.responses.store import ResponseStore
from glm3edge.schema.models import ModelCard
from glm3edge.text_completion import TextCompleter
from glm3edge.tokenization import Tokenization


@dataclass(frozen=True, slots=True)
class Services:
    """The engine and the joins over it. The application starts and closes the engine."""

    engine: Engine
    chat: ChatCompleter
    texts: TextCompleter
    embeddings: EmbeddingMaker
    tokens: Tokenization
    card: ModelCard
    responses: ResponseStore = field(default_factory=ResponseStore)
