"""The chat page in a real browser: Debian's Chromium, driven by Playwright.

Whatever a test does, its page may ask no one but its own server, violate its
Content-Security-Policy nowhere and raise no error.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    expect,
    sync_playwright,
)

from glm3edge.config.settings import load_settings
from glm3edge.engine.engine import Engine
from glm3edge.server.app import create_app
from tests.support.browser import Open, Visit, watch
from tests.support.fakes import FakeBackend
from tests.support.optional import missing
from tests.support.scripted_server import Scripted, Serve, running, scripted_services

WAIT_MS = 60_000
expect.set_options(timeout=WAIT_MS)
# What "Use for new chats" keeps; greedy replies are the same each time.
_GREEDY = """if (!localStorage.getItem("glm3edge.defaults"))
  localStorage.setItem("glm3edge.defaults", '{"sampling": {"temperature": 0}}');"""


@pytest.fixture(scope="module")  # its event loop must not outlive the tests that need it
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        missing("the chat page's tests need Chromium; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Opens the page at an address, in a browser profile of its own."""
    opened: list[tuple[BrowserContext, Visit]] = []

    def open_page(
        url: str,
        *,
        locale: str = "en-US",
        shows: str = "#message",
        init_script: str = "",
        **options: Any,
    ) -> Visit:
        context = browser.new_context(
            **{"locale": locale, "viewport": {"width": 1280, "height": 800}, **options}
        )
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', (event) =>"
            " console.error('policy', event.violatedDirective, event.blockedURI));"
        )
        context.add_init_script(_GREEDY + init_script)
        page = context.new_page()
        made = Visit(page, url)
        opened.append((context, made))
        watch(made)
        page.goto(url)
        page.wait_for_selector(shows)
        return made

    yield open_page
    faults = [fault for _, made in opened for fault in made.faults]
    outside = [
        address
        for _, made in opened
        for address in made.requests
        if not address.startswith((made.origin + "/", "blob:" + made.origin, "data:image/svg+xml"))
    ]
    for context, _ in opened:
        context.close()
    assert not faults
    assert not outside


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def serve(backend: FakeBackend) -> Iterator[Serve]:
    """Serves ``backend`` on a socket, with settings."""
    stack = ExitStack()

    def start(**settings: Any) -> Scripted:
        engine = Engine(backend, use_drafts=False)
        app = create_app(scripted_services(engine, backend), load_settings(**settings))
        url = stack.enter_context(running(app))
        return Scripted(url, app, backend, engine)

    yield start
    if backend.gate is not None:
        backend.gate.release(10_000)
    stack.close()
