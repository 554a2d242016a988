"""API docs at /docs and /redoc, served from the package's files without internet access."""

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

_STATIC = Path(__file__).parent / "static"
_PAGES = {"/docs": "swagger.html", "/redoc": "redoc.html"}

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # both insert style elements
        "img-src 'self' data:",
        "connect-src 'self'",
        "worker-src blob:",  # Redoc's search
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy of these pages: no requests to other origins."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def install(app: FastAPI) -> None:
    """Serve Swagger UI and Redoc; ``app`` must have been made without FastAPI's own pages."""
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    for path, file in _PAGES.items():
        app.add_api_route(path, _page(file), include_in_schema=False)


def _page(file: str) -> Callable[[], FileResponse]:
    def page() -> FileResponse:
        return FileResponse(_STATIC / "docs" / file, headers=_HEADERS)

    return page
