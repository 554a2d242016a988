"""Tokenization and detokenization, on the routes of llama.cpp's server."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import Response

from glm3edge.schema.tokenize import (
    DetokenizeReply,
    DetokenizeRequest,
    TokenizeReply,
    TokenizeRequest,
)
from glm3edge.server.routes import examples
from glm3edge.server.routes.dependencies import ERROR_REPLIES, ServicesOf
from glm3edge.server.routes.parsing import ParsedRoute
from glm3edge.server.threads import in_thread

router = APIRouter(route_class=ParsedRoute, responses=ERROR_REPLIES)


@router.post("/tokenize", response_model=TokenizeReply)
async def tokenize(
    services: ServicesOf, body: Annotated[TokenizeRequest, Body(openapi_examples=examples.TOKENIZE)]
) -> Response:
    """The tokens of a text."""
    text = await in_thread(services.tokens.tokenize, body)
    return Response(text, media_type="application/json")


@router.post("/detokenize")
async def detokenize(
    services: ServicesOf,
    body: Annotated[DetokenizeRequest, Body(openapi_examples=examples.DETOKENIZE)],
) -> DetokenizeReply:
    """The text of tokens."""
    return await in_thread(services.tokens.detokenize, body)
