"""What a server answers before it has a model, and the moment when it gets one."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from glm3edge.server.app import begin, create_app
from glm3edge.server.startup import Startup
from glm3edge.serving.services import Services
from glm3edge_convert.progress import Progress

BODY = {"messages": [{"role": "user", "content": "hi"}]}
ROUTES = [
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/messages"),
    ("POST", "/api/chat"),
    ("GET", "/api/tags"),
    ("POST", "/tokenize"),
    ("GET", "/metrics"),
]
REQUESTS = {
    "/v1/responses": {"input": "hi"},
    "/v1/embeddings": {"input": "hi"},
    "/v1/messages": {**BODY, "model": "m", "max_tokens": 1},
    "/api/chat": {**BODY, "model": "m"},
    "/tokenize": {"content": "hi"},
}


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Step:
    """So many bytes of a phase."""

    num_bytes_done: int
    num_bytes: int = 1000
    phase: str = "pulling"
    label: str = "model.safetensors"
    count: str = "0 of 1 files"


@pytest.fixture
def startup() -> Startup:
    return Startup()


@pytest.fixture
def early(startup: Startup) -> Iterator[TestClient]:
    settings = load_settings(api_key="key", allowed_hosts=("testserver",))
    with TestClient(create_app(startup, settings)) as client:
        client.headers["Authorization"] = "Bearer key"
        yield client


def test_routes_say_how_far_the_start_is(early: TestClient, startup: Startup) -> None:
    startup.begin("pull")
    startup.update(Step(0, 2**30))
    startup.update(Step(2**28, 2**30))
    for method, path in ROUTES:
        reply = early.request(method, path, json=REQUESTS.get(path, BODY))
        assert reply.status_code == 503, path
        assert 1 <= int(reply.headers["Retry-After"]) <= 60
        assert "the server is still pulling its model, 25% of 1,024 MiB, about" in reply.text
        if path.startswith("/v1/") and path != "/v1/messages":
            body = reply.json()
            assert body["error"]["type"] == "server_error"
            assert body["error"]["code"] == "server_starting"
            assert body["progress"]["bytes_done"] == 2**28
    assert early.post("/v1/messages", json=REQUESTS["/v1/messages"]).json()["type"] == "error"
    health = early.get("/health")
    assert health.status_code == 503
    assert health.json().items() >= {
        "status": "starting", "phase": "pulling", "bytes_done": 2**28, "bytes_total": 2**30,
    }.items()  # fmt: skip
    assert int(health.headers["Retry-After"]) >= 1


def test_pages_are_there_and_doors_are_closed(early: TestClient) -> None:
    for path in ("/", "/docs", "/redoc", "/openapi.json"):
        assert early.get(path).status_code == 200
    del early.headers["Authorization"]
    assert early.get("/v1/models").status_code == 401
    assert early.get("/health").status_code == 503
    assert early.get("/health", headers={"Host": "evil.example"}).status_code == 403
    assert early.get("/health", headers={"Origin": "https://evil.example"}).status_code == 403


def test_the_server_serves_once_it_has_a_model(startup: Startup, services: Services) -> None:
    app = create_app(startup, load_settings(allowed_hosts=("testserver",)))

    async def scenario() -> None:
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
        ):
            assert (await client.get("/v1/models")).status_code == 503
            await begin(app, services)
            assert (await client.get("/health")).json()["status"] == "ok"
            reply = await client.post("/v1/chat/completions", json=BODY)
            assert reply.json()["object"] == "chat.completion"
        assert not services.engine.is_running

    asyncio.run(scenario())


def test_the_time_left_follows_the_latest_rate() -> None:
    clock = Clock()
    startup = Startup(clock)
    startup.begin("pull")
    assert startup.retry_after == 2
    startup.update(Step(500))  # an earlier start has brought these
    assert startup.progress.model_dump() == {
        "phase": "pulling", "bytes_done": 500, "bytes_total": 1000, "seconds_left": None,
    }  # fmt: skip
    clock.now = 1
    startup.update(Step(510))
    assert startup.progress.seconds_left == 49
    assert startup.retry_after == 49
    for second in range(2, 41):
        clock.now = second
        startup.update(Step(510 + second))
    assert startup.progress.seconds_left == pytest.approx(450, abs=5)
    assert startup.retry_after == 60  # no client would wait longer
    startup.update(Step(1000))
    assert startup.progress.seconds_left == 0
    assert startup.retry_after == 2


def test_phases_follow_each_other() -> None:
    startup = Startup()
    assert startup.progress.phase == "loading"
    startup.begin("pull")
    assert startup.progress.phase == "pulling"
    startup.begin("convert")  # of what is still to be downloaded
    assert startup.progress.phase == "pulling"
    startup.update(Step(1))
    startup.update(Progress("output.weight", 0, 45, 0, 700))
    assert startup.progress.phase == "converting"
    assert startup.progress.seconds_left is None
    startup.begin("load", 700)
    assert startup.progress.model_dump() == {
        "phase": "loading", "bytes_done": None, "bytes_total": 700, "seconds_left": None,
    }  # fmt: skip
