"""Pages that a browser has open, and what happened on them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, Request

_REFUSED = "Failed to load resource"  # the browser's own word on what a test has refused


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
