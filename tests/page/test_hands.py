"""Keys, input methods, screens, colours, and what axe finds."""

from collections.abc import Sequence
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.browser import Open
from tests.support.fakes import EOS, FakeBackend, spell
from tests.support.scripted_server import Serve

pytestmark = pytest.mark.live

REPLY = """# Title

Text with `code`, $x^2$ and a [link](https://example.com).

```python
print("你好")  # a comment
```

| a | b |
| --- | ---: |
| 1 | 2 |

> A quotation.
"""


def _reply_for(_prompt: Sequence[int]) -> list[int]:
    return [*spell(REPLY), EOS]


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(reply_for=_reply_for, context_size=8192, batch_size=512)


def serious(page: Page) -> list[Any]:
    """What axe finds serious or critical."""
    found = Axe().run(page).response["violations"]
    return [
        (it["id"], [node["html"] for node in it["nodes"]])
        for it in found
        if it["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit: Open, serve: Serve, scheme: str) -> None:
    there = visit(serve().url, color_scheme=scheme)
    page = there.page
    assert not serious(page)  # before anything is said
    there.ask("show")
    expect(page.locator(".hljs-comment")).to_be_visible()
    expect(page.locator(".katex")).to_be_visible()
    page.locator(".message.user").hover()
    page.wait_for_timeout(200)  # buttons fade in
    assert not serious(page)
    page.route("**/v1/chat/completions", lambda route: route.abort())
    there.say("fail")
    expect(page.locator(".failure")).to_be_visible()
    assert not serious(page)
    page.keyboard.press("Control+,")
    page.get_by_role("button", name="Insert an example").click()
    page.get_by_label("Temperature").fill("9")
    assert not serious(page)
    there.close_dialog()
    page.get_by_role("button", name="Preferences").click()
    assert not serious(page)
    there.close_dialog()


def test_an_input_method_does_not_send(visit: Open, serve: Serve) -> None:
    there = visit(serve().url)
    page = there.page
    keys = page.context.new_cdp_session(page)
    page.focus("#message")
    keys.send("Input.imeSetComposition", {"text": "nihao", "selectionStart": 5, "selectionEnd": 5})
    page.evaluate(
        """() => document.querySelector("#message").addEventListener("keydown",
          (event) => (window.seen = [event.key, event.isComposing]))"""
    )
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    keys.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    assert page.evaluate("window.seen") == ["Enter", True]
    expect(page.locator("#message")).to_have_value("nihao")
    keys.send("Input.insertText", {"text": "你好"})
    expect(page.locator("#message")).to_have_value("你好")
    assert not there.bodies
    # Safari ends the composition first, and tells by the key code alone.
    page.evaluate(
        """() => document.querySelector("#message").dispatchEvent(
          new KeyboardEvent("keydown", {key: "Enter", keyCode: 229, bubbles: true}))"""
    )
    assert not there.bodies
    page.keyboard.press("Enter")
    expect(page.locator(".bubble")).to_have_text("你好")


def test_keys(visit: Open, serve: Serve) -> None:
    there = visit(serve().url)
    page = there.page
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    there.reply()
    assert there.messages[0] == "one\ntwo"
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Edit your message")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Edit your message")).to_have_count(0)
    page.keyboard.press("Control+Shift+O")
    expect(page.locator(".welcome")).to_be_visible()
    expect(page.locator("#message")).to_be_focused()
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#message")).to_be_focused()
    page.reload()
    page.locator(".welcome").wait_for()
    page.get_by_role("link", name="Skip to the message").focus()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_be_focused()


def test_code_is_copied(visit: Open, serve: Serve) -> None:
    there = visit(serve().url, permissions=["clipboard-read", "clipboard-write"])
    there.ask("show")
    expect(there.page.locator(".code-bar span")).to_have_text("python")
    there.page.get_by_role("button", name="Copy", exact=True).click()
    expect(there.page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    assert there.page.evaluate("navigator.clipboard.readText()") == 'print("你好")  # a comment\n'


def test_light_and_dark(visit: Open, serve: Serve) -> None:
    there = visit(serve().url, color_scheme="dark")
    page = there.page

    def is_dark() -> bool:
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) < 200

    assert is_dark()
    page.emulate_media(color_scheme="light")
    assert not is_dark()
    page.get_by_role("button", name="Switch to dark").click()
    expect(page.get_by_role("button", name="Switch to light")).to_be_visible()
    assert is_dark()
    page.reload()
    page.locator("#message").wait_for()
    assert is_dark()


def test_a_narrow_screen(visit: Open, serve: Serve) -> None:
    there = visit(
        serve().url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = there.page
    there.ask("show")
    expect(page.locator(".katex")).to_be_visible()
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) == 390
    sidebar = page.get_by_role("navigation")
    expect(sidebar).not_to_be_in_viewport()
    menu = page.get_by_role("button", name="Show conversations")
    menu.tap()
    expect(sidebar).to_be_in_viewport()
    expect(page.get_by_role("button", name="Close conversations")).to_be_focused()
    assert not serious(page)
    page.get_by_role("button", name="New chat").tap()
    expect(sidebar).not_to_be_in_viewport()
    expect(page.locator(".welcome")).to_be_visible()
    page.get_by_role("button", name="Chat settings").tap()
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate(width) == 390


def test_adapters_can_be_chosen(visit: Open, serve: Serve) -> None:
    there = visit(serve().url)
    page = there.page
    cards = [
        {"id": "fake", "context_length": 8192},
        {"id": "poet", "parent": "fake", "context_length": 4096},
        {"id": "embedder", "context_length": 512},
    ]
    page.route("**/v1/models", lambda route: route.fulfill(json={"data": cards}))
    page.reload()
    choice = page.get_by_role("combobox", name="Model")
    expect(choice.locator("option")).to_have_text(["fake", "poet"])
    choice.select_option("poet")
    expect(page.locator(".context")).to_have_text("4,096 tokens of context")
    there.ask("show")
    assert there.bodies[0]["model"] == "poet"
    expect(page.locator(".message.assistant .stats")).to_contain_text("poet")
    page.reload()
    expect(choice).to_have_value("poet")
    page.get_by_role("button", name="New chat").click()
    expect(choice).to_have_value("fake")
