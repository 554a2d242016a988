"""Reranking, on the routes of Jina's and Cohere's APIs."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import Response

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.rerank import RerankReply, RerankRequest
from glm3edge.server.routes import examples
from glm3edge.server.routes.dependencies import ERROR_REPLIES, OpenServicesOf, reply
from glm3edge.server.routes.parsing import ParsedRoute
from glm3edge.server.threads import in_thread

router = APIRouter(route_class=ParsedRoute, responses=ERROR_REPLIES)


@router.post("/v1/rerank", response_model=RerankReply)
@router.post("/v2/rerank", include_in_schema=False)
@router.post("/rerank", include_in_schema=False)
async def rerank(
    services: OpenServicesOf,
    body: Annotated[RerankRequest, Body(openapi_examples=examples.RERANK)],
) -> Response:
    """Documents by their relevance to a query, the most relevant first; needs ``--rerank-model``.

    ``/rerank`` and Cohere's ``/v2/rerank`` are the same.
    """
    service = services.rerank
    if service is None:
        text = "this server has no reranker: start it with --rerank-model BAAI/bge-reranker-v2-m3"
        raise InvalidRequestError(text, param=None)
    pairs = await in_thread(service.prepare, body)
    return await reply(service.rerank(body, pairs))
