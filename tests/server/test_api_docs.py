"""/docs and /redoc: the package's own files, under a policy that lets nothing else in."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from glm3edge.server import api_docs
from glm3edge.server.app import create_app
from glm3edge.serving.services import Services

STATIC = Path(api_docs.__file__).parent / "static"
FETCHED = re.compile(
    rb"""(?:url\(|@import|importScripts\(|new (?:Shared)?Worker\(|fetch\(|src\s*[:=]|href\s*=)"""
    rb"""\s*["'`]?\s*(?:https?:)?//[\w.-]+\.\w+"""
)


class Resources(HTMLParser):
    """What a page has the browser load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.paths: list[str] = []
        self.has_inline_code = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in {"script", "link", "img", "iframe"}:
            self.paths.append(values.get("src") or values.get("href") or "")
        self.has_inline_code |= tag == "style" or any(name.startswith("on") for name in values)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_are_whole_and_load_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy
    resources = Resources(page.text)
    assert not resources.has_inline_code
    assert len(resources.paths) >= 4
    for resource in resources.paths:
        assert resource.startswith("static/")
        assert client.get(f"/{resource}").status_code == 200
    assert client.get("/openapi.json").status_code == 200


def test_no_file_fetches_from_elsewhere() -> None:
    files = [path for path in STATIC.rglob("*") if path.suffix in {".js", ".css", ".html"}]
    assert len(files) >= 8
    for path in files:
        data = path.read_bytes()
        assert FETCHED.findall(data) == [], path
        assert b"sourceMappingURL=http" not in data
        assert not re.search(rb"sourceMappingURL=[\w.-]+\.map", data), path


def test_what_the_search_for_fetches_finds() -> None:
    for text in (
        b'src:"https://cdn.redoc.ly/redoc/logo-mini.svg"',
        b"@import url(https://fonts.googleapis.com/css)",
        b'new Worker("//cdn.example.org/worker.js")',
        b"<script src='https://cdn.jsdelivr.net/x.js'>",
    ):
        assert FETCHED.search(text), text


@pytest.fixture
def guarded(services: Services) -> Iterator[TestClient]:
    app = create_app(services, load_settings(api_key="key", allowed_hosts=("testserver",)))
    with TestClient(app) as client:
        yield client


@pytest.mark.slow
def test_the_docs_need_no_key_and_ask_for_it(guarded: TestClient, client: TestClient) -> None:
    for path in ("/docs", "/redoc", "/static/docs/swagger.js"):
        assert guarded.get(path).status_code == 200
    document = guarded.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert document["paths"]["/v1/embeddings"]["post"]["security"] == [{"HTTPBearer": []}]
    assert "securitySchemes" not in client.get("/openapi.json").json()["components"]
    for path in ("/static", "/static/%2e%2e/v1/models", "/docs/../v1/models", "/openapi.json/"):
        assert guarded.get(path, follow_redirects=False).status_code in {401, 404}
    assert guarded.get("/v1/models").status_code == 401
