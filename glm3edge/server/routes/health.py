"""Routes for operators: health and Prometheus metrics."""

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from glm3edge.server import metrics
from glm3edge.server.routes.dependencies import ERROR_REPLIES, ServicesOf

router = APIRouter(responses=ERROR_REPLIES)


@router.get("/health")
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


@router.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(services: ServicesOf) -> Response:
    """Counts and gauges of the engine, in Prometheus' text format."""
    return Response(metrics.render(services.engine), media_type=metrics.CONTENT_TYPE)
