"""GET /v1/models."""

from typing import Literal

from glm3edge.schema.base import ReplyModel


class ModelCard(ReplyModel):
    """A model that can be asked for. ``context_length`` is this server's own addition."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "glm3edge"
    context_length: int


class ModelList(ReplyModel):
    """All models: the one that chats, and the one for embeddings if that is another."""

    object: Literal["list"] = "list"
    data: list[ModelCard]
