"""Ollama's routes: chat, generate, embeddings and descriptions of the models."""

import time
from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from glm3edge.core import ModelState
from glm3edge.errors import RequestError
from glm3edge.schema.base import ReplyModel
from glm3edge.schema.chat import ChatRequest, Message
from glm3edge.schema.ollama import (
    EmbeddingReply,
    EmbeddingRequest,
    EmbedReply,
    EmbedRequest,
    GenerateReply,
    GenerateRequest,
    OllamaChatReply,
    OllamaChatRequest,
    OllamaError,
    OllamaVersion,
    RunningList,
    ShowReply,
    ShowRequest,
    TagList,
)
from glm3edge.server import sse
from glm3edge.server.error_responses import ollama_error
from glm3edge.server.routes import examples
from glm3edge.server.routes.dependencies import (
    OpenServicesOf,
    RunningServicesOf,
    ServicesOf,
    reply,
)
from glm3edge.server.routes.parsing import AnyTypeRoute
from glm3edge.server.threads import in_thread
from glm3edge.serving.chat.job import ChatJob
from glm3edge.serving.ollama import models
from glm3edge.serving.ollama.reply import (
    GenerateWriter,
    Part,
    chat_line,
    embed_reply,
    joined,
    load_part,
    reply_parts,
)
from glm3edge.serving.ollama.request import (
    chat_request,
    completion_request,
    embeddings_request,
    generate_request,
    load_reason,
    translate_error,
)
from glm3edge.serving.services import Services
from glm3edge.serving.streams import closing_on_exit

router = APIRouter(
    prefix="/api",
    route_class=AnyTypeRoute,
    responses={"4XX": {"model": OllamaError}, "5XX": {"model": OllamaError}},
)


@router.get("/version")
async def get_version() -> OllamaVersion:
    """The version of Ollama whose API this is."""
    return OllamaVersion(version=models.VERSION)


@router.get("/tags")
async def list_tags(services: ServicesOf) -> TagList:
    """The models that are served. A name that is none of theirs stands for the first."""
    return models.tag_list(models.served_models(services.cards, services.files))


@router.get("/ps")
async def list_running(services: ServicesOf) -> RunningList:
    """The models that are loaded: all of them, unless the chat model is unloaded while idle."""
    cards = services.cards
    if services.engine.model_state is ModelState.UNLOADED:
        cards = tuple(card for card in cards[1:] if card.parent is None)
    return models.running_list(models.served_models(cards, services.files))


@router.post("/show")
async def show_model(
    services: ServicesOf,
    body: Annotated[ShowRequest, Body(openapi_examples=examples.OLLAMA_SHOW)],
) -> ShowReply:
    """Details of a model that is served."""
    name = body.model or body.name or ""
    found = models.show(models.served_models(services.cards, services.files), name)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"model {name!r} not found")
    return found


@router.post("/chat", response_model=OllamaChatReply, responses=sse.OR_JSON_LINES)
async def create_chat(
    services: RunningServicesOf,
    body: Annotated[OllamaChatRequest, Body(openapi_examples=examples.OLLAMA_CHAT)],
) -> Response:
    """A reply to a conversation, in lines as it is written or (``stream: false``) whole."""
    start = time.perf_counter_ns()
    if (reason := load_reason(body)) is not None:
        return _json(chat_line(load_part(reason), model=services.card.id))
    job = await in_thread(lambda: _job(services, chat_request(body)))
    services.engine.check_capacity(len(job.generations))  # before a stream's headers are out
    parts = reply_parts(services.chat.stream(job), start=start)
    return await _respond(
        parts, lambda part: chat_line(part, model=job.model), stream=body.wants_stream
    )


@router.post("/generate", response_model=GenerateReply, responses=sse.OR_JSON_LINES)
async def create_generation(
    services: RunningServicesOf,
    body: Annotated[GenerateRequest, Body(openapi_examples=examples.OLLAMA_GENERATE)],
) -> Response:
    """A reply to one prompt, in lines as it is written or (``stream: false``) whole."""
    start = time.perf_counter_ns()
    if (reason := load_reason(body)) is not None:
        return _json(GenerateWriter(services.card.id).line(load_part(reason)))
    if body.raw:
        text_job = await in_thread(
            lambda: services.texts.prepare(completion_request(body), clamp_max_tokens=True)
        )
        services.engine.check_capacity(text_job.num_at_once)
        parts = reply_parts(services.texts.stream(text_job), start=start)
        writer = GenerateWriter(text_job.model)
    else:
        job, context_of = await in_thread(_prepare, services, body)
        services.engine.check_capacity(len(job.generations))
        parts = reply_parts(services.chat.stream(job), start=start)
        writer = GenerateWriter(job.model, context_of)
    return await _respond(parts, writer.line, stream=body.wants_stream)


@router.post("/embed", response_model=EmbedReply)
async def embed(
    services: OpenServicesOf,
    body: Annotated[EmbedRequest, Body(openapi_examples=examples.OLLAMA_EMBED)],
) -> Response:
    """Vectors of texts, of unit length."""
    return await reply(_vectors(services, body, start=time.perf_counter_ns()))


@router.post("/embeddings", response_model=EmbeddingReply)
async def embed_one(
    services: OpenServicesOf,
    body: Annotated[EmbeddingRequest, Body(openapi_examples=examples.OLLAMA_EMBEDDINGS)],
) -> Response:
    """The vector of a text, in the older form."""
    return await reply(_vector(services, body))


@router.post("/pull", include_in_schema=False)
@router.post("/push", include_in_schema=False)
@router.post("/create", include_in_schema=False)
@router.post("/copy", include_in_schema=False)
@router.delete("/delete", include_in_schema=False)
async def change_models() -> None:
    """Refuse to change which models there are."""
    message = "the models are those that the server was started with: glm3edge serve NAME"
    raise HTTPException(HTTPStatus.NOT_IMPLEMENTED, message)


def _prepare(
    services: Services, body: GenerateRequest
) -> tuple[ChatJob, Callable[[str], list[int]]]:
    """Job of a prompt, and what makes the context of its reply. Blocks."""
    history = services.tokens.decode_messages(body.context or (), param="context")
    asked = generate_request(body, history)
    job = _job(services, asked)
    token_ids = services.tokens.encode_messages(asked.messages)

    def context_of(text: str) -> list[int]:
        message = Message(role="assistant", content=text)
        return token_ids + services.tokens.encode_messages([message])

    return job, context_of


def _job(services: Services, asked: ChatRequest) -> ChatJob:
    """Job of a chat request. Blocks.

    Clients set ``num_predict`` to what larger models can do, so more than fits is no error.
    """
    try:
        return services.chat.prepare(asked, clamp_max_tokens=True)
    except RequestError as exc:
        raise translate_error(exc) from exc


async def _respond(
    parts: AsyncGenerator[Part, None],
    make_line: Callable[[Part], ReplyModel],
    *,
    stream: bool,
) -> Response:
    """Send ``parts`` in lines, or all in one reply."""
    if stream:
        lines = _lines(parts, make_line)
        return sse.json_stream(lines, on_error=ollama_error, ping=lambda: make_line(Part()))
    return await reply(_whole(parts, make_line))


async def _lines(
    parts: AsyncGenerator[Part, None], make_line: Callable[[Part], ReplyModel]
) -> AsyncGenerator[ReplyModel, None]:
    async with closing_on_exit(parts):
        async for part in parts:
            yield make_line(part)


async def _whole(
    parts: AsyncGenerator[Part, None], make_line: Callable[[Part], ReplyModel]
) -> ReplyModel:
    return make_line(await joined(parts))


async def _vectors(services: Services, body: EmbedRequest, *, start: int) -> EmbedReply:
    vectors = services.embedding_service()
    if not body.input:
        return embed_reply(vectors.model_id, None, start=start, ready=start)
    asked = embeddings_request(body.model, body.input, dimensions=body.dimensions)
    inputs = await in_thread(lambda: vectors.prepare(asked, truncate=body.truncate is not False))
    ready = time.perf_counter_ns()
    made = await vectors.embed(asked, inputs)
    return embed_reply(vectors.model_id, made, start=start, ready=ready)


async def _vector(services: Services, body: EmbeddingRequest) -> EmbeddingReply:
    asked = EmbedRequest(model=body.model, input=body.prompt)
    made = await _vectors(services, asked, start=time.perf_counter_ns())
    return EmbeddingReply(embedding=made.embeddings[0] if made.embeddings else [])


def _json(body: ReplyModel) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")
