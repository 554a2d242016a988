"""GET /v1/models."""

from typing import Literal

from pydantic import Field

from glm3edge.schema.base import ReplyModel, is_none


class ModelCard(ReplyModel):
    """A model that can be asked for. ``context_length`` is this server's own addition.

    ``parent`` is the model that an adapter belongs to.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "glm3edge"
    parent: str | None = Field(default=None, exclude_if=is_none)
    context_length: int


class ModelList(ReplyModel):
    """All models: the one that chats, its adapters, and the one for embeddings if it is another."""

    object: Literal["list"] = "list"
    data: list[ModelCard]
