"""The routes: each checks its body, hands it to a join and sends back what comes."""

from collections.abc import Coroutine
from http import HTTPStatus
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from glm3edge.errors import EngineClosedError
from glm3edge.schema.base import ReplyModel
from glm3edge.schema.chat import ChatReply
from glm3edge.schema.embeddings import EmbeddingsReply, EmbeddingsRequest
from glm3edge.schema.errors import ErrorReply
from glm3edge.schema.legacy import ChatBody
from glm3edge.schema.models import ModelCard, ModelList
from glm3edge.server import metrics, sse
from glm3edge.server.routes import examples
from glm3edge.server.routes.disconnect import ClientDisconnectedError, until_disconnect
from glm3edge.serving.chat.job import ChatJob
from glm3edge.serving.legacy.reply import legacy_chunks, legacy_reply
from glm3edge.serving.legacy.request import Form, chat_request
from glm3edge.serving.services import Services

_CLIENT_CLOSED_REQUEST = 499  # nginx's; nobody reads it but the access log

router = APIRouter(responses={"4XX": {"model": ErrorReply}, "5XX": {"model": ErrorReply}})


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_services)]


def _open_services(services: ServicesOf) -> Services:
    """Refuses work while the server shuts down."""
    if not services.engine.is_running:
        raise EngineClosedError("the server is shutting down")
    return services


OpenServicesOf = Annotated[Services, Depends(_open_services)]


def _running_services(services: OpenServicesOf) -> Services:
    """Refuses work that the engine would refuse, before it is looked at."""
    services.engine.check_capacity()
    return services


RunningServicesOf = Annotated[Services, Depends(_running_services)]


@router.get("/health", tags=["Server"])
async def health(services: ServicesOf) -> JSONResponse:
    """Whether the server can take requests: 200, or 503 when its engine has stopped or fails."""
    engine = services.engine
    if engine.is_healthy:
        numbers = {"running": engine.num_running, "waiting": engine.num_waiting}
        return JSONResponse({"status": "ok", **numbers})
    body = {"status": "unavailable"}
    if (problem := engine.problem) is not None:
        body["reason"] = problem
    return JSONResponse(body, status_code=HTTPStatus.SERVICE_UNAVAILABLE)


@router.get("/metrics", tags=["Server"], response_class=PlainTextResponse)
async def get_metrics(services: ServicesOf) -> Response:
    """What the server has done, for Prometheus."""
    return Response(metrics.render(services.engine), media_type=metrics.CONTENT_TYPE)


@router.get("/v1/models", tags=["OpenAI"])
async def list_models(services: ServicesOf) -> ModelList:
    """The models that are served. A name that is none of theirs stands for the first."""
    return ModelList(data=list(services.cards))


@router.get("/v1/models/{model_id:path}", tags=["OpenAI"])
async def get_model(services: ServicesOf, model_id: str) -> ModelCard:
    """A model that is served, by its name."""
    for card in services.cards:
        if card.id == model_id:
            return card
    raise HTTPException(HTTPStatus.NOT_FOUND, f"there is no model {model_id!r} here")


@router.post(
    "/v1/chat/completions", tags=["OpenAI"], response_model=ChatReply, responses=sse.OR_EVENTS
)
async def create_chat_completion(
    request: Request,
    services: RunningServicesOf,
    body: Annotated[ChatBody, Body(openapi_examples=examples.CHAT)],
) -> Response:
    """A reply to a conversation, whole or (``stream: true``) in chunks as it is written."""
    form = Form.of(body)
    job = await run_sync(lambda: services.chat.prepare(chat_request(body)))
    services.engine.check_capacity(len(job.generations))  # before a stream's headers are out
    if body.stream:
        return sse.stream(legacy_chunks(services.chat.stream(job), form))
    return await reply(request, _chat_reply(services, job, form))


@router.post("/v1/embeddings", tags=["OpenAI"], response_model=EmbeddingsReply)
async def create_embeddings(
    request: Request,
    services: OpenServicesOf,
    body: Annotated[EmbeddingsRequest, Body(openapi_examples=examples.EMBEDDINGS)],
) -> Response:
    """Vectors of texts, of unit length: the embedding model's, or else the mean of the chat model's
    hidden states."""
    inputs = await run_sync(services.embeddings.prepare, body)
    return await reply(request, services.embeddings.embed(body, inputs))


async def _chat_reply(services: Services, job: ChatJob, form: Form) -> ChatReply:
    return legacy_reply(await services.chat.complete(job), form)


async def reply(request: Request, work: Coroutine[Any, Any, ReplyModel]) -> Response:
    """The result of ``work`` as JSON; nothing, if the client has left before it is there."""
    try:
        body = await until_disconnect(request, work)
    except ClientDisconnectedError:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    return Response(body.model_dump_json(), media_type="application/json")
