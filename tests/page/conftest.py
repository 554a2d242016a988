"""The chat page in a real browser: Debian's Chromium, driven by Playwright.

Whatever a test does, its page may ask no one but its own server, violate its
Content-Security-Policy nowhere and raise no error.
"""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from glm3edge.config.settings import load_settings
from glm3edge.engine.engine import Engine
from glm3edge.schema.models import ModelCard
from glm3edge.server.app import create_app
from glm3edge.serving.chat.service import ChatService
from glm3edge.serving.completions import CompletionService
from glm3edge.serving.embedders import ChatModelEmbedder
from glm3edge.serving.embeddings import EmbeddingService
from glm3edge.serving.services import Services
from glm3edge.serving.tokenization import TokenizationService
from tests.support.fakes import FakeBackend, FakeVocabulary
from tests.support.optional import missing

WAIT_MS = 10_000
expect.set_options(timeout=WAIT_MS)
# What "Use for new chats" keeps; greedy replies are the same each time.
_GREEDY = """if (!localStorage.getItem("glm3edge.defaults"))
  localStorage.setItem("glm3edge.defaults", '{"sampling": {"temperature": 0}}');"""
_REFUSED = "Failed to load resource"  # the browser's own word on what a test has refused


@pytest.fixture(scope="module")  # its event loop must not outlive the tests that need it
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        missing("the chat page's tests need Chromium; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path)


@dataclass
class Visit:
    """A page that is open, and what it asked for."""

    page: Page
    origin: str
    requests: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Write a message and send it."""
        self.page.fill("#message", text)
        self.page.keyboard.press("Enter")

    def close_dialog(self, button: str = "Done") -> None:
        """Press a button that closes the dialog, and wait until it is gone."""
        self.page.get_by_role("button", name=button, exact=True).click()
        self.page.locator("dialog").wait_for(state="detached")

    def ask(self, text: str) -> str:
        """Send a message; the reply, once it is complete."""
        self.say(text)
        return self.reply()

    def reply(self) -> str:
        """The last reply, once it is complete."""
        self.page.locator(".message:last-child .stats").first.wait_for()
        return self.page.locator(".message.assistant").last.inner_text()

    @property
    def messages(self) -> list[str]:
        """What is said in the conversation, without buttons and counts."""
        return self.page.locator(".bubble, .message.assistant > .markdown").all_inner_texts()


Open = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Opens the page at an address, in a browser profile of its own."""
    opened: list[tuple[BrowserContext, Visit]] = []

    def open_page(url: str, *, locale: str = "en-US", **options: Any) -> Visit:
        context = browser.new_context(
            **{"locale": locale, "viewport": {"width": 1280, "height": 800}, **options}
        )
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', (event) =>"
            " console.error('policy', event.violatedDirective, event.blockedURI));"
        )
        context.add_init_script(_GREEDY)
        page = context.new_page()
        made = Visit(page, url)
        opened.append((context, made))
        watch(made)
        page.goto(url)
        page.wait_for_selector("#message")
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


def watch(made: Visit) -> None:
    """Write down what a page does."""

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_REFUSED):
            made.faults.append(message.text)

    def on_request(request: Request) -> None:
        made.requests.append(request.url)
        if request.url.endswith("/v1/chat/completions"):
            made.bodies.append(request.post_data_json or {})

    made.page.on("console", on_console)
    made.page.on("pageerror", lambda error: made.faults.append(str(error)))
    made.page.on("dialog", lambda dialog: made.faults.append(f"a dialog: {dialog.message}"))
    made.page.context.on("page", lambda page: made.faults.append(f"a window: {page.url}"))
    made.page.context.on("request", on_request)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@dataclass(frozen=True)
class Scripted:
    """A server whose model says what a test tells it to."""

    url: str
    app: FastAPI
    backend: FakeBackend
    engine: Engine


Serve = Callable[..., Scripted]


@pytest.fixture
def serve(backend: FakeBackend) -> Iterator[Serve]:
    """Serves ``backend`` on a socket, with settings."""
    ends: list[Callable[[], object]] = []

    def start(**settings: Any) -> Scripted:
        engine = Engine(backend, use_drafts=False)
        app = create_app(_services(engine, backend), load_settings(**settings))
        running = _running(app)
        url = running.__enter__()
        ends.append(lambda: running.__exit__(None, None, None))
        return Scripted(url, app, backend, engine)

    yield start
    if backend.gate is not None:
        backend.gate.release(10_000)
    for end in ends:
        end()


def _services(engine: Engine, backend: FakeBackend) -> Services:
    vocabulary = FakeVocabulary()
    embedder = ChatModelEmbedder(
        engine, vocabulary, model_id="fake", embedding_length=backend.embedding_length
    )
    return Services(
        engine=engine,
        chat=ChatService(engine, vocabulary, model_id="fake"),
        texts=CompletionService(engine, vocabulary, model_id="fake"),
        embeddings=EmbeddingService(embedder),
        tokens=TokenizationService(vocabulary),
        cards=(ModelCard(id="fake", created=1, context_length=backend.context_size),),
    )


@contextmanager
def _running(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()
