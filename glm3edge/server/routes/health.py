"""Routes for operators: health and Prometheus metrics."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from glm3edge.engine.interface import InferenceEngine
from glm3edge.server import metrics
from glm3edge.server.routes.dependencies import ERROR_REPLIES, ServicesOf
from glm3edge.server.startup import Startup

router = APIRouter(responses=ERROR_REPLIES)


@router.get("/health")
async def health(request: Request) -> JSONResponse:
    """Whether the server can take requests: 200, or 503 while it starts, and when its engine has
    stopped or fails."""
    services = request.app.state.services
    if isinstance(services, Startup):
        return JSONResponse(
            {"status": "starting", **services.progress.model_dump()},
            status_code=HTTPStatus.SERVICE_UNAVAILABLE,
            headers={"Retry-After": str(services.retry_after)},
        )
    engine = services.engine
    body = _state(engine)
    if engine.replicas:
        body["replicas"] = [_state(one) for one in engine.replicas.values()]
    status = HTTPStatus.OK if engine.is_healthy else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse(body, status_code=status)


def _state(engine: InferenceEngine) -> dict[str, Any]:
    """State without addresses: anybody may ask."""
    if engine.is_healthy:
        numbers = {"running": engine.num_running, "waiting": engine.num_waiting}
        model = {} if (state := engine.model_state) is None else {"model": state.value}
        return {"status": "ok", **numbers, **model}
    reason = {} if engine.problem is None else {"reason": engine.problem}
    return {"status": "unavailable", **reason}


@router.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(services: ServicesOf) -> Response:
    """Counts and gauges of the engine, in Prometheus' text format."""
    return Response(metrics.render(services.engine), media_type=metrics.CONTENT_TYPE)
