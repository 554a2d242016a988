"""OpenAI's routes: models, chat completions, embeddings."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from glm3edge.schema.chat import ChatReply
from glm3edge.schema.embeddings import EmbeddingsReply, EmbeddingsRequest
from glm3edge.schema.legacy import ChatBody
from glm3edge.schema.models import ModelCard, ModelList
from glm3edge.server import sse
from glm3edge.server.routes import examples
from glm3edge.server.routes.dependencies import (
    ERROR_REPLIES,
    OpenServicesOf,
    RunningServicesOf,
    ServicesOf,
    reply,
)
from glm3edge.server.routes.parsing import ParsedRoute
from glm3edge.server.threads import in_thread
from glm3edge.serving.chat.job import ChatJob
from glm3edge.serving.legacy.reply import legacy_chunks, legacy_reply
from glm3edge.serving.legacy.request import Form, chat_request
from glm3edge.serving.services import Services

router = APIRouter(route_class=ParsedRoute, responses=ERROR_REPLIES)


@router.get("/models")
async def list_models(services: ServicesOf) -> ModelList:
    """The models that are served. A name that is none of theirs stands for the first."""
    return ModelList(data=list(services.cards))


@router.get("/models/{model_id:path}")
async def get_model(services: ServicesOf, model_id: str) -> ModelCard:
    """A model that is served, by its name."""
    for card in services.cards:
        if card.id == model_id:
            return card
    raise HTTPException(
        HTTPStatus.NOT_FOUND, f"the model {model_id!r} does not exist on this server"
    )


@router.post("/chat/completions", response_model=ChatReply, responses=sse.OR_EVENTS)
async def create_chat_completion(
    services: RunningServicesOf,
    body: Annotated[ChatBody, Body(openapi_examples=examples.CHAT)],
) -> Response:
    """A reply to a conversation, whole or (``stream: true``) in chunks as it is written."""
    form = Form.of(body)
    job = await in_thread(lambda: services.chat.prepare(chat_request(body)))
    services.engine.check_capacity(len(job.generations))  # before a stream's headers are out
    if body.stream:
        return sse.stream(legacy_chunks(services.chat.stream(job), form))
    return await reply(_chat_reply(services, job, form))


@router.post("/embeddings", response_model=EmbeddingsReply)
async def create_embeddings(
    services: OpenServicesOf,
    body: Annotated[EmbeddingsRequest, Body(openapi_examples=examples.EMBEDDINGS)],
) -> Response:
    """Vectors of texts, of unit length: the embedding model's, or else the mean of the chat model's
    hidden states."""
    embeddings = services.embedding_service()
    inputs = await in_thread(embeddings.prepare, body)
    return await reply(embeddings.embed(body, inputs))


async def _chat_reply(services: Services, job: ChatJob, form: Form) -> ChatReply:
    return legacy_reply(await services.chat.complete(job), form)
