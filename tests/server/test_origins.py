from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from glm3edge.server.app import create_app
from glm3edge.server.middleware.origins import HostCheck, OriginCheck
from glm3edge.server.request_errors import HostNotAllowedError, OriginNotAllowedError
from glm3edge.serving.services import Services

LOCAL: dict[str, Any] = {}
BOX = {"host": "192.168.0.7", "no_auth": True, "allowed_hosts": ["box.lan"]}
IPV6 = {"host": "fd00::0007", "no_auth": True}
OPEN = {"host": "0.0.0.0", "no_auth": True}
WITH_KEY = {"host": "0.0.0.0", "api_key": "k"}
ANY = {"allowed_hosts": ["*"]}


def connection(**headers: str) -> HTTPConnection:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "path": "/", "headers": raw})


@pytest.mark.parametrize(
    ("settings", "host", "is_allowed"),
    [
        (LOCAL, "127.0.0.1:8000", True),
        (LOCAL, "localhost", True),
        (LOCAL, "LOCALHOST:1", True),
        (LOCAL, "[::1]:8000", True),
        (LOCAL, "evil.example", False),
        (LOCAL, "evil.example:8000", False),
        (LOCAL, "localhost.evil.example:8000", False),
        (LOCAL, "127.0.0.1.evil.example", False),
        (LOCAL, "192.168.0.7", False),
        (LOCAL, "localhost,evil.example", False),
        (LOCAL, "", False),
        (LOCAL, "\xff", False),
        (BOX, "192.168.0.7:8000", True),
        (BOX, "box.lan:8000", True),
        (BOX, "BOX.lan", True),
        (BOX, "127.0.0.1", True),
        (BOX, "192.168.0.8", False),
        (BOX, "a.box.lan", False),
        (IPV6, "[fd00::7]:8000", True),
        (IPV6, "[fd00::8]:8000", False),
        (OPEN, "0.0.0.0:8000", True),
        (OPEN, "box.lan", False),
        (WITH_KEY, "box.lan", True),
        (WITH_KEY, "evil.example", True),
        (ANY, "evil.example", True),
    ],
)
def test_hosts(settings: dict[str, Any], host: str, is_allowed: bool) -> None:
    check = HostCheck(load_settings(**settings))
    if is_allowed:
        check(connection(host=host))
    else:
        with pytest.raises(HostNotAllowedError):
            check(connection(host=host))


def test_a_host_has_to_be_given_once() -> None:
    check = HostCheck(load_settings())
    with pytest.raises(HostNotAllowedError):
        check(connection())
    headers = [(b"host", b"localhost"), (b"host", b"evil.example")]
    with pytest.raises(HostNotAllowedError):
        check(HTTPConnection({"type": "http", "path": "/", "headers": headers}))


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("http://localhost:3000", True),
        ("https://localhost", True),
        ("http://127.0.0.1:8000", True),
        ("http://[::1]", True),
        ("https://front.example", True),
        ("http://box.lan:8000", True),  # the server's own pages
        ("https://box.lan:8000", True),  # behind a proxy
        ("http://box.lan", False),
        ("http://box.lan:8001", False),
        ("ftp://box.lan:8000", False),
        ("http://front.example", False),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://localhost:8000.evil.example", False),
        ("http://localhost:3000/", False),
        ("chrome-extension://abc", False),
        ("file://", False),
        ("null", False),
        ("", False),
    ],
)
def test_origins(origin: str, is_allowed: bool) -> None:
    check = OriginCheck(load_settings(cors_origins=["https://front.example"]))
    request = connection(host="box.lan:8000", origin=origin)
    if is_allowed:
        check(request)
    else:
        with pytest.raises(OriginNotAllowedError):
            check(request)


def test_origins_that_are_configured() -> None:
    OriginCheck(load_settings(cors_origins=["null"]))(connection(host="x", origin="null"))
    for origin in ("null", "https://evil.example", "app://obsidian.md"):
        OriginCheck(load_settings(cors_origins=["*"]))(connection(host="x", origin=origin))


def test_programs_send_no_origin() -> None:
    OriginCheck(load_settings())(connection(host="127.0.0.1"))


def test_an_empty_host_is_no_origin() -> None:
    for origin in ("null", "", "http://evil.example"):
        with pytest.raises(OriginNotAllowedError):
            OriginCheck(load_settings(**WITH_KEY))(connection(origin=origin))


def test_the_refusal_of_a_host_can_be_read(client: TestClient) -> None:
    headers = {"Host": "evil.example:8000", "Origin": "https://front.example"}
    reply = client.get("/health", headers=headers)
    assert reply.status_code == 403
    error = reply.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "host_not_allowed")
    assert "--allowed-hosts evil.example" in error["message"]
    assert reply.headers["access-control-allow-origin"] == "https://front.example"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://front.example", 200),
        ("http://localhost:3000", 200),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_preflights_of_private_networks(client: TestClient, origin: str, status: int) -> None:
    """Browsers ask so when a public page reaches for this machine (Private Network Access)."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
        "Access-Control-Request-Private-Network": "true",
    }
    reply = client.options("/v1/chat/completions", headers=headers)
    assert reply.status_code == status
    allowed = "true" if status == 200 else None
    assert reply.headers.get("access-control-allow-private-network") == allowed
    del headers["Access-Control-Request-Private-Network"]
    reply = client.options("/v1/chat/completions", headers=headers)
    assert "access-control-allow-private-network" not in reply.headers


def test_the_simple_post_of_a_page(client: TestClient) -> None:
    """A form may post plain text to anybody, and no preflight asks first."""
    headers = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    body = '{"messages": [{"role": "user", "content": "hi"}]}'
    reply = client.post("/v1/chat/completions", content=body, headers=headers)
    assert reply.status_code == 403
    error = reply.json()["error"]
    assert error["code"] == "origin_not_allowed"
    assert "--cors-origin https://evil.example" in error["message"]
    assert "access-control-allow-origin" not in reply.headers


def test_a_rebound_name_is_no_way_around(client: TestClient) -> None:
    """To the page's browser the server is of the page's own origin."""
    headers = {"Host": "evil.example:8000", "Origin": "http://evil.example:8000"}
    reply = client.post("/v1/chat/completions", json={}, headers=headers)
    assert reply.json()["error"]["code"] == "host_not_allowed"


def test_pages_of_the_server_itself(services: Services) -> None:
    settings = load_settings(**BOX)
    with TestClient(create_app(services, settings), base_url="http://box.lan:8000") as client:
        reply = client.get("/v1/models", headers={"Origin": "http://box.lan:8000"})
        assert reply.status_code == 200
