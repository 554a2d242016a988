"""OpenAI's responses: made by the chat service, and kept for requests that follow on them."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Query
from fastapi.responses import Response

from glm3edge.errors import InvalidRequestError, RequestError
from glm3edge.schema.base import EventModel
from glm3edge.schema.response_items import Item
from glm3edge.schema.responses import DeletedResponse, ItemList, ResponseReply, ResponseRequest
from glm3edge.server import sse
from glm3edge.server.error_responses import describe
from glm3edge.server.routes import examples
from glm3edge.server.routes.dependencies import (
    ERROR_REPLIES,
    RunningServicesOf,
    ServicesOf,
    reply,
)
from glm3edge.server.routes.parsing import ParsedRoute
from glm3edge.server.threads import in_thread
from glm3edge.serving.chat.job import ChatJob
from glm3edge.serving.chat.service import ChatService
from glm3edge.serving.responses.events import EventWriter, response_events
from glm3edge.serving.responses.reply import add_reply, new_response, page
from glm3edge.serving.responses.request import chat_request, translate_error

router = APIRouter(prefix="/responses", route_class=ParsedRoute, responses=ERROR_REPLIES)


@router.post("", response_model=ResponseReply, responses=sse.OR_EVENTS)
async def create_response(
    services: RunningServicesOf,
    body: Annotated[ResponseRequest, Body(openapi_examples=examples.RESPONSES)],
) -> Response:
    """A reply in the form of responses, whole or (``stream: true``) in events as it is written."""
    earlier = services.responses.earlier(body)
    body = body.model_copy(update={"input": services.responses.resolve(body.input)})
    job = await in_thread(_prepare, services.chat, body, earlier)
    services.engine.check_capacity(len(job.generations))  # before a stream's headers are out
    start = new_response(body, created_at=job.created, model=job.model)

    def keep(whole: ResponseReply) -> None:
        if whole.store:
            services.responses.put(whole, (*earlier, *body.input))

    if body.stream:
        writer = EventWriter(start)
        events = response_events(services.chat.stream(job), writer, on_end=keep)
        return sse.named_stream(events, on_error=_failure(writer))
    return await reply(_whole(services.chat, job, start, on_end=keep))


@router.get("/{response_id}")
async def get_response(
    services: ServicesOf, response_id: str, *, stream: bool = False
) -> ResponseReply:
    """A response that was made recently and is still kept."""
    if stream:
        message = "stream: a response is streamed while it is made, not afterwards"
        raise InvalidRequestError(message, param="stream")
    return services.responses.get(response_id).response


@router.delete("/{response_id}")
async def delete_response(services: ServicesOf, response_id: str) -> DeletedResponse:
    """Delete a response."""
    services.responses.delete(response_id)
    return DeletedResponse(id=response_id)


@router.get("/{response_id}/input_items")
async def list_input_items(
    services: ServicesOf,
    response_id: str,
    *,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> ItemList:
    """The input items of a response, without its instructions."""
    items = services.responses.get(response_id).items
    return page(items, after=after, limit=limit, descending=order == "desc")


def _prepare(chat: ChatService, body: ResponseRequest, earlier: Sequence[Item]) -> ChatJob:
    request = chat_request(body, earlier)
    try:
        return chat.prepare(request)
    except RequestError as exc:
        raise translate_error(exc) from exc


async def _whole(
    chat: ChatService,
    job: ChatJob,
    start: ResponseReply,
    *,
    on_end: Callable[[ResponseReply], None],
) -> ResponseReply:
    whole = add_reply(start, await chat.complete(job))
    on_end(whole)
    return whole


def _failure(writer: EventWriter) -> Callable[[Exception], EventModel]:
    return lambda exc: writer.fail(describe(exc)[1].error)
