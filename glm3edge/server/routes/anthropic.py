"""Anthropic's routes: messages, made by the chat service."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Request
from fastapi.responses import Response

from glm3edge.schema.messages import (
    Conversation,
    ErrorEvent,
    MessageReply,
    MessagesRequest,
    TokenCount,
)
from glm3edge.server import sse
from glm3edge.server.error_responses import message_error
from glm3edge.server.routes import examples
from glm3edge.server.routes.dependencies import RunningServicesOf, ServicesOf, reply
from glm3edge.server.routes.parsing import ParsedRoute
from glm3edge.server.threads import in_thread
from glm3edge.serving.anthropic.reply import message, message_events
from glm3edge.serving.anthropic.request import chat_request, prompt_request
from glm3edge.serving.chat.job import ChatJob
from glm3edge.serving.chat.service import ChatService

router = APIRouter(
    prefix="/v1/messages",
    route_class=ParsedRoute,
    responses={"4XX": {"model": ErrorEvent}, "5XX": {"model": ErrorEvent}},
)


@router.post("", response_model=MessageReply, responses=sse.OR_EVENTS)
async def create_message(
    request: Request,
    services: RunningServicesOf,
    body: Annotated[MessagesRequest, Body(openapi_examples=examples.MESSAGES)],
) -> Response:
    """A reply in Anthropic's form, whole or (``stream: true``) in events as it is written.

    ``max_tokens`` is required here, and clients set it to what larger models can do. So more than
    the context holds is no error: a reply that fills the context ends with ``max_tokens``.
    """
    job = await in_thread(lambda: services.chat.prepare(chat_request(body), clamp_max_tokens=True))
    services.engine.check_capacity(len(job.generations))  # before a stream's headers are out
    if body.stream:
        chunks = services.chat.stream(job)
        events = message_events(chunks, num_prompt_tokens=job.num_prompt_tokens)
        return sse.named_stream(
            events, on_error=partial(message_error, request_id=request.state.request_id)
        )
    return await reply(_message(services.chat, job))


@router.post("/count_tokens")
async def count_tokens(
    services: ServicesOf,
    body: Annotated[Conversation, Body(openapi_examples=examples.COUNT_TOKENS)],
) -> TokenCount:
    """Number of tokens of a prompt, without a reply."""
    num_tokens = await in_thread(lambda: services.chat.count_prompt_tokens(prompt_request(body)))
    return TokenCount(input_tokens=num_tokens)


async def _message(chat: ChatService, job: ChatJob) -> MessageReply:
    return message(await chat.complete(job))
