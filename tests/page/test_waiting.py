"""Replies that take their time, and replies that do not come."""

import re
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from playwright.sync_api import Route, expect

from glm3edge.errors import EngineLostError, QueueFullError, TimeoutExceededError
from glm3edge.server.error_responses import response
from tests.support.browser import Open
from tests.support.fakes import EOS, FakeBackend, spell
from tests.support.scripted_server import Scripted, Serve
from tests.support.waiting import SECONDS

pytestmark = pytest.mark.live

CHAT = "/v1/chat/completions"
ROUTE = f"**{CHAT}"


def _reply_for(_prompt: Sequence[int]) -> list[int]:
    return [*spell("one **two** three "), *spell("four " * 200), EOS]


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(reply_for=_reply_for, context_size=2048, batch_size=512)


def until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.01)


def held(serve: Serve, backend: FakeBackend) -> tuple[Scripted, threading.Semaphore]:
    """A server, and what lets it go on."""
    backend.gate = threading.Semaphore(0)
    return serve(), backend.gate


def test_a_reply_is_shown_as_it_is_written_and_can_be_stopped(
    visit: Open, serve: Serve, backend: FakeBackend
) -> None:
    server, gate = held(serve, backend)
    there = visit(server.url)
    page = there.page
    there.say("count")
    gate.release(14)
    expect(page.locator(".markdown strong")).to_have_text("two")
    expect(page.locator(".message.assistant")).to_have_attribute("aria-busy", "true")
    assert "four" not in there.messages[1]
    page.reload()  # what came so far is kept
    expect(page.locator(".markdown strong")).to_have_text("two")
    gate.release(3)
    until(lambda: server.engine.num_running == 0)

    there.say("once more")
    gate.release(14)
    expect(page.locator(".markdown strong")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator(".message.assistant").last).to_contain_text("Stopped")
    gate.release(3)
    until(lambda: server.engine.num_running == 0)
    assert "four" not in there.messages[3]
    expect(page.get_by_role("button", name="Regenerate reply")).to_be_enabled()
    gate.release(3000)
    assert "four" in there.ask("and on")
    assert [message["role"] for message in there.bodies[-1]["messages"]] == [
        "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip


def test_screen_readers_are_told_of_replies_not_of_tokens(
    visit: Open, serve: Serve, backend: FakeBackend
) -> None:
    server, gate = held(serve, backend)
    there = visit(server.url)
    status = there.page.locator(".offscreen[role=status]")
    there.say("count")
    expect(status).to_have_text("The reply is being written.")
    gate.release(14)
    expect(there.page.locator(".markdown strong")).to_be_visible()
    expect(status).to_have_text("The reply is being written.")
    assert there.page.locator("[aria-live] .markdown, [role=log]").count() == 0
    gate.release(3000)
    expect(status).to_contain_text("one two three four four")


def test_a_prompt_that_does_not_fit_can_be_shortened(visit: Open, serve: Serve) -> None:
    there = visit(serve().url)
    page = there.page
    there.ask("first")
    there.ask("x" * 300)
    page.keyboard.press("Control+,")
    page.get_by_label("Longest reply").fill("1200")
    there.close_dialog()
    there.say("last")
    failure = page.locator(".failure")
    expect(failure).to_contain_text("no longer fits the context")
    failure.get_by_role("button", name="Leave out the oldest messages").click()
    expect(page.get_by_text("Earlier messages left out")).to_be_visible()
    assert there.bodies[-1]["truncation"] == "auto"
    there.reply()
    there.say("x" * 1500)
    expect(failure).to_contain_text("Even without the oldest messages it does not fit")


@pytest.mark.parametrize(
    ("exc", "text", "button"),
    [
        (QueueFullError(num_waiting=8, retry_after=1), "The server is busy", "Try again in"),
        (EngineLostError("it ended"), "being started again", "Try again"),
        (TimeoutExceededError(5), "took too long", "Try again"),
        (RuntimeError("secret"), "The server failed", "Try again"),
        (None, "cannot be reached", "Try again"),
    ],
)
def test_failures_are_said_with_what_to_do(
    visit: Open, serve: Serve, exc: Exception | None, text: str, button: str
) -> None:
    there = visit(serve().url)
    page = there.page

    def fail(route: Route) -> None:
        if exc is None:
            route.abort("connectionrefused")
            return
        made = response(exc, {"path": CHAT})
        route.fulfill(status=made.status_code, headers=dict(made.headers), body=bytes(made.body))

    page.route(ROUTE, fail)
    there.say("hello")
    failure = page.locator(".failure")
    expect(failure).to_contain_text(text)
    again = failure.get_by_role("button", name=button)
    if isinstance(exc, QueueFullError):
        expect(again).to_be_disabled()
    page.unroute(ROUTE)
    failure.get_by_role("button", name="Try again", exact=True).click()
    assert "four" in there.reply()
    assert there.bodies[-1]["messages"] == [{"role": "user", "content": "hello"}]


def test_the_server_goes_away(visit: Open, serve: Serve) -> None:
    there = visit(serve().url)
    there.page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    there.page.reload()
    expect(there.page.locator(".banner")).to_contain_text("Check that glm3edge serve is running")
    there.page.unroute("**/v1/**")
    expect(there.page.locator(".banner")).to_have_count(0)
    expect(there.page.get_by_placeholder("Message fake")).to_be_visible()


def test_a_key_is_asked_for_and_kept_as_wanted(visit: Open, serve: Serve) -> None:
    there = visit(serve(api_key="right").url)
    page = there.page
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("This server needs an API key")
    page.get_by_label("API key", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("does not accept this key")
    page.get_by_label("API key", exact=True).fill("right")
    page.keyboard.press("Enter")
    expect(page.get_by_placeholder("Message fake")).to_be_visible()
    kept = "[localStorage, sessionStorage].map((it) => it.getItem('glm3edge.key'))"
    assert page.evaluate(kept) == [None, "right"]
    page.get_by_role("button", name="Preferences").click()
    page.get_by_label("Keep it in this browser").check()
    assert page.evaluate(kept) == ["right", None]
    there.close_dialog()
    page.reload()
    assert "four" in there.ask("hello")


def test_a_long_prompt_shows_how_far_it_is(visit: Open, serve: Serve, backend: FakeBackend) -> None:
    backend.batch_size = 100
    server, gate = held(serve, backend)
    there = visit(server.url)
    page = there.page
    there.say("x" * 900)
    reading = page.locator(".reading")
    gate.release(1)
    expect(reading).to_contain_text("100 of 9")
    gate.release(3)
    expect(reading).to_contain_text(re.compile(r"4\d\d of 9\d\d tokens · about \d+ s left"))
    bar = page.get_by_role("progressbar", name="Reading the prompt")
    expect(bar).to_have_js_property("value", 400)
    assert there.bodies[0]["stream_options"] == {"include_usage": True, "include_progress": True}
    page.get_by_role("button", name="切换到中文").click()
    expect(reading).to_contain_text(re.compile(r"正在读取提示\s*400 / 9\d\d 个词元 · 约剩 \d+ 秒"))
    gate.release(3000)
    assert "four" in there.reply()
    expect(bar).to_have_count(0)
