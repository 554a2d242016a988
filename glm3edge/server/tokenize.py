"""Texts to tokens and back, on the routes of llama.cpp's server."""

from anyio.to_thread import run_sync
from fastapi import APIRouter

from glm3edge.schema.errors import ErrorReply
from glm3edge.schema.tokenize import (
    DetokenizeReply,
    DetokenizeRequest,
    TokenizeReply,
    TokenizeRequest,
)
from glm3edge.server.routes import ServicesOf

router = APIRouter(responses={"4XX": {"model": ErrorReply}, "5XX": {"model": ErrorReply}})


@router.post("/tokenize")
async def tokenize(services: ServicesOf, body: TokenizeRequest) -> TokenizeReply:
    """The tokens of a text."""
    return await run_sync(services.tokens.tokenize, body)


@router.post("/detokenize")
async def detokenize(services: ServicesOf, body: DetokenizeRequest) -> DetokenizeReply:
    """The text of tokens."""
    return await run_sync(services.tokens.detokenize, body)
