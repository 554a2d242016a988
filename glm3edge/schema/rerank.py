"""Models of POST /v1/rerank, in Jina's form (https://api.jina.ai/redoc), which Cohere's includes.

Jina     model, query, documents, top_n, return_documents; replies with ``usage``
Cohere   the same, and limits of a document's length; replies with ``id`` and ``meta``
"""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from glm3edge.limits import MAX_TEXTS
from glm3edge.schema.base import ReplyModel, RequestModel, Usage, is_none
from glm3edge.schema.checks import refused


class DocumentObject(RequestModel):
    """A document as an object."""

    text: str


def _document_tag(document: object) -> str:
    return "<object>" if isinstance(document, dict | DocumentObject) else "<string>"


Document = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[DocumentObject, Tag("<object>")],
    Discriminator(_document_tag),
]


class RerankRequest(RequestModel):
    """Documents to sort by their relevance to a query.

    ``top_n`` is the number of results, all if it is 0. ``return_documents`` is true by default, as
    in Jina's API. ``max_tokens_per_doc`` is Cohere's: a document's further tokens are left out.
    """

    model: str = ""
    query: Annotated[str, Field(min_length=1)]
    documents: Annotated[list[Document], Field(min_length=1, max_length=MAX_TEXTS)]
    top_n: Annotated[int, Field(ge=0)] | None = None
    return_documents: Annotated[bool, Field(strict=False)] | None = None  # "true" from RAGFlow
    max_tokens_per_doc: Annotated[int, Field(ge=1)] | None = None
    rank_fields: Annotated[
        None, refused("rank_fields is not supported: send the fields that matter as the text")
    ] = None
    max_chunks_per_doc: int | None = None


class RerankedText(ReplyModel):
    """Text of a document."""

    text: str


class RerankResult(ReplyModel):
    """A document's place in the request, and its relevance to the query, 0 to 1."""

    index: int
    relevance_score: float
    document: RerankedText | None = Field(default=None, exclude_if=is_none)


class RerankTokens(ReplyModel):
    """Tokens in Cohere's words."""

    input_tokens: int
    output_tokens: int = 0


class RerankMeta(ReplyModel):
    """What Cohere's API has in place of ``usage``."""

    tokens: RerankTokens


class RerankReply(ReplyModel):
    """Results, the most relevant first."""

    id: str
    object: Literal["list"] = "list"
    model: str
    results: list[RerankResult]
    usage: Usage
    meta: RerankMeta
