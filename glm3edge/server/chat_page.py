"""The chat page at /, served from the package's files without internet access.

`make page` builds the files from the sources in page/. All but two have a hash of their contents in
their names, so browsers may cache those for good. The page runs no script but its own, whatever a
model writes into it: its Content-Security-Policy forbids all that it does not need.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import Request

from glm3edge import __version__

_FOLDER = Path(__file__).parent / "static" / "chat"
_ROUTE = "/chat"
_PAGE = "index.html"

# Not the system's table, which a program may have changed: with nosniff the type must be right.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types dompurify",
    )
)

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class _File:
    """One of the page's files.

    Attributes:
        body: its contents.
        etag: a hash of them, in quotes.
        type: its MIME type.
        is_immutable: whether its name has a hash, so that it may be cached for good.
    """

    body: bytes
    etag: str
    type: str
    is_immutable: bool

    @property
    def headers(self) -> dict[str, str]:
        cache = "public, max-age=31536000, immutable" if self.is_immutable else "no-cache"
        return {**_HEADERS, "Cache-Control": cache, "ETag": self.etag}


def _read(path: Path) -> _File:
    body = path.read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:32]
    is_immutable = "-" in path.name  # name-HASH.js
    return _File(body, f'"{digest}"', _TYPES[path.suffix], is_immutable)


def _paths() -> Iterator[str]:
    yield "/"
    for path in _FOLDER.iterdir():
        yield f"{_ROUTE}/{path.name}"


PATHS = frozenset(_paths())
"""Paths of the page and its files, which need no API key."""


def install(app: FastAPI) -> None:
    """Serve the page at ``/`` and its files below ``/chat``."""
    files = {path.name: _read(path) for path in _FOLDER.iterdir()}

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        if _wants_json(request.headers.get("accept", "")):
            return JSONResponse(_ABOUT, headers={"Vary": "Accept"})
        made = _response(request, files[_PAGE])
        made.headers["Vary"] = "Accept"
        return made

    @app.get(f"{_ROUTE}/{{name}}", include_in_schema=False)
    async def file(request: Request, name: str) -> Response:
        if name not in files or name == _PAGE:
            raise HTTPException(404, "there is no such file")
        return _response(request, files[name])


_ABOUT = {"name": "glm3edge", "version": __version__, "api": "/v1", "docs": "/docs"}
"""JSON body of /, for clients that ask for JSON instead of the page."""


def _wants_json(accept: str) -> bool:
    """Whether an ``Accept`` header names JSON and not HTML; those of browsers name HTML."""
    types = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return "application/json" in types and "text/html" not in types


def _response(request: Request, file: _File) -> Response:
    known = request.headers.get("if-none-match", "")
    if file.etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}:
        return Response(status_code=304, headers=file.headers)
    return Response(file.body, media_type=file.type, headers=file.headers)
