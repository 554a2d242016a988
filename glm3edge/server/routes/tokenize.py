"""Tokenization and detokenization, on the routes of llama.cpp's server."""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Body

from glm3edge.schema.tokenize import (
    DetokenizeReply,
    DetokenizeRequest,
    TokenizeReply,
    TokenizeRequest,
)
from glm3edge.server.routes import examples
from glm3edge.server.routes.dependencies import ERROR_REPLIES, ServicesOf

router = APIRouter(responses=ERROR_REPLIES)


@router.post("/tokenize")
async def tokenize(
    services: ServicesOf, body: Annotated[TokenizeRequest, Body(openapi_examples=examples.TOKENIZE)]
) -> TokenizeReply:
    """The tokens of a text."""
    return await run_sync(services.tokens.tokenize, body)


@router.post("/detokenize")
async def detokenize(
    services: ServicesOf,
    body: Annotated[DetokenizeRequest, Body(openapi_examples=examples.DETOKENIZE)],
) -> DetokenizeReply:
    """The text of tokens."""
    return await run_sync(services.tokens.detokenize, body)
