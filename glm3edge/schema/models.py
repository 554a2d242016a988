"""Models of GET /v1/models."""

from typing import Literal

from pydantic import Field

from glm3edge.schema.base import ReplyModel, is_none


class ModelCard(ReplyModel):
    """A model or adapter that requests can name.

    ``context_length`` is this server's own field. ``parent`` is the model of an adapter.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "glm3edge"
    parent: str | None = Field(default=None, exclude_if=is_none)
    context_length: int


class ModelList(ReplyModel):
    """All models: the chat model, its adapters, and those for embeddings and reranking."""

    object: Literal["list"] = "list"
    data: list[ModelCard]
