"""OpenAI's older route for text, /v1/completions."""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Body, Request
from fastapi.responses import Response

from glm3edge.schema.completions import CompletionReply, CompletionRequest
from glm3edge.schema.errors import ErrorReply
from glm3edge.server import sse
from glm3edge.server.routes import examples
from glm3edge.server.routes.openai import RunningServicesOf, reply

router = APIRouter(responses={"4XX": {"model": ErrorReply}, "5XX": {"model": ErrorReply}})


@router.post("/v1/completions", response_model=CompletionReply, responses=sse.OR_EVENTS)
async def create_completion(
    request: Request,
    services: RunningServicesOf,
    body: Annotated[CompletionRequest, Body(openapi_examples=examples.COMPLETIONS)],
) -> Response:
    """Text that goes on from a prompt as it stands, with no roles; whole or in a stream."""
    job = await run_sync(services.texts.prepare, body)
    services.engine.check_capacity(job.num_at_once)  # before a stream's headers are out
    if body.stream:
        return sse.stream(services.texts.stream(job))
    return await reply(request, services.texts.complete(job))
