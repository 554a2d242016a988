"""API docs at /docs, from files of the package: they work with no internet."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

_STATIC = Path(__file__).parent / "static"
_ASSETS = "/static/swagger-ui"


def install(app: FastAPI) -> None:
    """Serve Swagger UI at ``/docs``. ``app`` must have been made with ``docs_url=None``."""
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    page = get_swagger_ui_html(
        openapi_url=app.openapi_url or "/openapi.json",
        title=app.title,
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon-32x32.png",
    )

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return page
