import hmac
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from glm3edge.server.app import create_app
from glm3edge.server.middleware.api_key import KeyCheck
from glm3edge.server.request_errors import AuthenticationError
from glm3edge.serving.services import Services

KEY = "key-of-this-test"


@pytest.fixture
def guarded(services: Services) -> Iterator[TestClient]:
    """An application with a key."""
    settings = load_settings(api_key=KEY, cors_origins=("https://front.example",))
    client = TestClient(create_app(services, settings), base_url="http://localhost:8000")
    with client:
        yield client


def connection(*headers: tuple[bytes, bytes], path: str = "/v1/models") -> HTTPConnection:
    return HTTPConnection({"type": "http", "path": path, "headers": list(headers)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"authorization", b"Bearer KEY"),
        (b"authorization", b"bearer KEY"),
        (b"authorization", b"BEARER  KEY "),
        (b"x-api-key", b"KEY"),
        (b"x-api-key", b" KEY"),
    ],
)
def test_right_keys(name: bytes, value: bytes) -> None:
    KeyCheck(SecretStr(KEY))(connection((name, value.replace(b"KEY", KEY.encode()))))


@pytest.mark.parametrize(
    ("name", "value", "is_missing"),
    [
        (b"authorization", b"Bearer key-of-this-tes", False),
        (b"authorization", b"Bearer key-of-this-test2", False),
        (b"authorization", b"Bearer KEY-OF-THIS-TEST", False),
        (b"authorization", b"Bearer", False),
        (b"authorization", b"Bearer \xff\xfe\x00", False),
        (b"authorization", "Bearer schlüssel-钥匙".encode(), False),
        (b"authorization", b"Basic key-of-this-test", True),
        (b"authorization", b"key-of-this-test", True),
        (b"authorization", b"", True),
        (b"x-api-key", b"", False),
        (b"x-api-key", b"Bearer key-of-this-test", False),
        (b"api-key", b"key-of-this-test", True),
        (b"cookie", b"key-of-this-test", True),
    ],
)
def test_wrong_keys(name: bytes, value: bytes, is_missing: bool) -> None:
    with pytest.raises(AuthenticationError) as caught:
        KeyCheck(SecretStr(KEY))(connection((name, value)))
    assert caught.value.is_missing is is_missing
    assert KEY not in str(caught.value)


def test_one_right_key_of_two_is_enough() -> None:
    """A client may have to send its own Authorization."""
    headers = [(b"authorization", b"Bearer none"), (b"x-api-key", KEY.encode())]
    KeyCheck(SecretStr(KEY))(connection(*headers))


def test_a_key_that_is_not_ascii() -> None:
    check = KeyCheck(SecretStr("schlüssel-钥匙"))
    check(connection((b"authorization", "Bearer schlüssel-钥匙".encode())))
    with pytest.raises(AuthenticationError):
        check(connection((b"authorization", b"Bearer schl\xfcssel")))


@pytest.mark.parametrize(
    "path",
    [
        "/health/",
        "/healthy",
        "//health",
        "/v1/health",
        "/HEALTH",
        "",
        "/docs/",
        "/static",
        "//static/",
    ],
)
def test_only_health_and_the_docs_are_public(path: str) -> None:
    check = KeyCheck(SecretStr(KEY))
    check(connection(path="/health"))
    with pytest.raises(AuthenticationError):
        check(connection(path=path))


def test_no_other_route_is_public(guarded: TestClient) -> None:
    """Every path and method that the document lists, and those that it does not."""
    paths: dict[str, dict[str, object]] = guarded.get("/openapi.json").json()["paths"]
    others = {"/metrics": ["get"], "/v1": ["get"], "/chat": ["get"]}
    routes = {path: list(methods) for path, methods in paths.items()} | others
    assert len(routes) > 20
    answers = {
        (method, path): guarded.request(method, path).status_code
        for path, methods in routes.items()
        for method in methods
        if path != "/health"
    }
    assert {route for route, status in answers.items() if status != 401} == set()


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is compared goes through the one comparison whose time tells nothing."""
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def noted(given: bytes, right: bytes) -> bool:
        compared.append((given, right))
        return compare(given, right)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    given = [b"", b"k", KEY.encode()[:-1] + b"x", b"\xff" * 1000]
    for key in given:
        with pytest.raises(AuthenticationError):
            KeyCheck(SecretStr(KEY))(connection((b"x-api-key", key)))
    assert compared == [(key, KEY.encode()) for key in given]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong-key"}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/metrics"),
        ("GET", "/no/such/route"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/health/../v1/chat/completions"),
        ("OPTIONS", "/v1/models"),  # no preflight
    ],
)
def test_the_reply_without_a_key(
    guarded: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    reply = guarded.request(method, path, headers=headers)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    error = reply.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
    assert error["param"] is None
    assert KEY not in reply.text
    assert "wrong-key" not in reply.text


@pytest.mark.slow
def test_the_reply_with_a_key(guarded: TestClient) -> None:
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}):
        for path in ("/v1/models", "/docs", "/openapi.json", "/metrics"):
            assert guarded.get(path, headers=headers).status_code == 200
    assert guarded.get("/health").status_code == 200


def test_browsers_can_ask_without_a_key_and_read_the_refusal(guarded: TestClient) -> None:
    origin = {"Origin": "https://front.example"}
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    preflight = guarded.options("/v1/chat/completions", headers=origin | asked)
    assert preflight.status_code == 200
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    reply = guarded.post("/v1/chat/completions", headers=origin, json={})
    assert reply.status_code == 401
    assert reply.headers["access-control-allow-origin"] == "https://front.example"
