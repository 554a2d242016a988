import re

import pytest
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from glm3edge.server import chat_page
from glm3edge.server.app import create_app
from glm3edge.serving.services import Services

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_the_page_may_ask_no_one_else_and_run_nothing_else(client: TestClient) -> None:
    reply = client.get("/", headers={"accept": BROWSER})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    policy = dict(
        directive.partition(" ")[::2]
        for directive in reply.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert "http:" not in reply.text
    assert "https:" not in reply.text


def test_the_files_of_the_page(client: TestClient) -> None:
    names = re.findall(r'(?:src|href)="(/chat/[^"]+)"', client.get("/").text)
    assert {name.rpartition(".")[2] for name in names} == {"js", "css", "svg"}
    types = {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
        ".woff2": "font/woff2",
    }
    paths = chat_page.PATHS - {"/", "/chat/index.html"}
    assert set(names) <= paths
    for path in paths:
        reply = client.get(path)
        assert reply.status_code == 200
        assert reply.headers["content-type"] == types[path[path.rindex(".") :]]
        is_kept = "immutable" in reply.headers["cache-control"]
        assert is_kept == (path != "/chat/LICENSES.txt")
        again = client.get(path, headers={"if-none-match": f'"other", W/{reply.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        head = client.head(path)
        assert head.headers["content-length"] == str(len(reply.content))
        assert head.content == b""


@pytest.mark.parametrize(
    "path",
    ["/chat/", "/chat/index.html", "/chat/x.js", "/chat/../docs.py", "/chat/..%2fdocs.py", "/chat"],
)
def test_other_files_are_not_there(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        (BROWSER, "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("text/html, application/json", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
        ("application/json;q=0.9, */*;q=0.1", "application/json"),
        ("Application/JSON, text/plain", "application/json"),
    ],
)
def test_programs_get_json(client: TestClient, accept: str, type_: str) -> None:
    for reply in client.get("/", headers={"accept": accept}), client.head("/"):
        assert reply.status_code == 200
        assert "Accept" in reply.headers["vary"]
    reply = client.get("/", headers={"accept": accept})
    assert reply.headers["content-type"] == type_
    if type_ == "application/json":
        assert reply.json()["api"] == "/v1"


def test_the_page_needs_no_key_and_gives_none(services: Services) -> None:
    app = create_app(services, load_settings(api_key="key", allowed_hosts=("testserver",)))
    with TestClient(app) as client:
        for path in chat_page.PATHS:
            assert client.get(path).status_code in (200, 404)
        for path in ("/v1/models", "/metrics", "/chat/x.js", "/chat/../v1/models"):
            assert client.get(path).status_code == 401


def test_licences_are_shipped(client: TestClient) -> None:
    text = client.get("/chat/LICENSES.txt").text
    for name in ("katex", "markdown-it", "dompurify", "highlight.js", "preact", "lucide"):
        assert re.search(rf"^{re.escape(name)} \d+\.\d+\.\d+: .+\n\n\S", text, re.MULTILINE)
