"""OpenAI's older route for plain text, /v1/completions."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import Response

from glm3edge.schema.completions import CompletionReply, CompletionRequest
from glm3edge.server import sse
from glm3edge.server.routes import examples
from glm3edge.server.routes.dependencies import ERROR_REPLIES, RunningServicesOf, reply
from glm3edge.server.routes.parsing import ParsedRoute
from glm3edge.server.threads import in_thread

router = APIRouter(route_class=ParsedRoute, responses=ERROR_REPLIES)


@router.post("/completions", response_model=CompletionReply, responses=sse.OR_EVENTS)
async def create_completion(
    services: RunningServicesOf,
    body: Annotated[CompletionRequest, Body(openapi_examples=examples.COMPLETIONS)],
) -> Response:
    """Continuations of plain prompts, without roles; whole or (``stream: true``) in chunks."""
    job = await in_thread(services.texts.prepare, body)
    services.engine.check_capacity(job.num_at_once)  # before a stream's headers are out
    if body.stream:
        return sse.stream(services.texts.stream(job))
    return await reply(services.texts.complete(job))
