"""Models of POST /v1/embeddings."""

from typing import Annotated, Literal

from pydantic import Field

from glm3edge.schema.base import ReplyModel, RequestModel, Usage
from glm3edge.schema.tokens import Texts


class EmbeddingsRequest(RequestModel):
    """Texts, or lists of token ids, to embed."""

    model: str = ""
    input: Texts
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


class EmbeddingItem(ReplyModel):
    """A vector, as numbers or as base64 of little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsReply(ReplyModel):
    """Vectors, in the order of the input."""

    object: Literal["list"] = "list"
    data: list[EmbeddingItem]
    model: str
    usage: Usage
