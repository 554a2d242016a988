"""The chat page in the user's browser, for ``serve --open``."""

import os
import threading
import webbrowser

from glm3edge.commands.logs import announce


def open_in_browser(url: str) -> None:
    """Open ``url`` in a browser, or announce that there is none; returns at once."""
    # Some browsers run until they are closed, and would block the server.
    threading.Thread(target=_open, args=(url,), daemon=True).start()


def _open(url: str) -> None:
    try:
        browser = webbrowser.get()
        is_open = not _takes_terminal(browser) and browser.open(url)
    except (webbrowser.Error, OSError):
        is_open = False
    if not is_open:
        announce("open", f"no browser was found on this machine: open {url} in yours")


def _takes_terminal(browser: webbrowser.BaseBrowser) -> bool:
    """Whether it is one for terminals, such as w3m, that the user has not named."""
    is_foreground = type(browser) is webbrowser.GenericBrowser or not getattr(
        browser, "background", True
    )
    return is_foreground and "BROWSER" not in os.environ
