"""Displays for a reply while it streams: Markdown on a terminal, plain text elsewhere."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TextIO

from rich.console import Console

from glm3edge.commands.chat.terminal.live import LiveLines
from glm3edge.commands.chat.terminal.markdown import is_table, render, split_blocks
from glm3edge_convert.printable import without_hidden

FRAME_SECONDS = 1 / 15
"""Minimum seconds between two redraws of a reply."""

_WAIT_SECONDS = 1.0  # before the user is told that the model is reading the prompt
_DRAWING_SHARE = 8  # at most one part in so many of the time is spent on drawing


class Display(Protocol):
    """Display of a reply's text."""

    async def start(self, waiting: Callable[[int], str]) -> None:
        """Begin a reply; ``waiting`` gives the note to show until its first text, by seconds."""

    def feed(self, text: str) -> None:
        """Add text."""

    async def finish(self) -> None:
        """End the reply. Idempotent."""


class PlainDisplay:
    """Display that writes the text as it is, and a line end after it. See ``Display``."""

    def __init__(self, file: TextIO) -> None:
        """Write to ``file``; without control characters if it is a terminal."""
        self._file = file
        self._is_terminal = file.isatty()
        self._last = "\n"

    async def start(self, waiting: Callable[[int], str]) -> None:
        """See ``Display``."""

    def feed(self, text: str) -> None:
        """See ``Display``."""
        self._file.write(without_hidden(text) if self._is_terminal else text)
        self._file.flush()
        self._last = text[-1:] or self._last

    async def finish(self) -> None:
        """See ``Display``."""
        if self._last != "\n":
            self._file.write("\n")
            self._file.flush()
        self._last = "\n"


class MarkdownDisplay:
    """Display that renders Markdown while it streams. Complete blocks are drawn once.

    Of a table that is larger than the screen only the end is shown until it is complete.
    """

    def __init__(self, console: Console) -> None:
        """Draw on ``console``, a terminal that can move its cursor."""
        self._console = console
        self._lines = LiveLines(console.file)
        self._text = ""
        self._is_first = True
        self._is_dirty = False
        self._width = console.width
        self._drawing: asyncio.Task[None] | None = None

    async def start(self, waiting: Callable[[int], str]) -> None:
        """See ``Display``."""
        self._text = ""
        self._is_first, self._is_dirty = True, False
        self._drawing = asyncio.create_task(self._draw_often(waiting))

    def feed(self, text: str) -> None:
        """See ``Display``."""
        self._text += without_hidden(text)
        self._is_dirty = True

    async def finish(self) -> None:
        """See ``Display``."""
        if self._drawing is None:
            return
        self._drawing.cancel()
        with suppress(asyncio.CancelledError):
            await self._drawing
        self._drawing = None
        self._draw(is_last=True)

    async def _draw_often(self, waiting: Callable[[int], str]) -> None:
        started = time.monotonic()
        while True:
            now = time.monotonic()
            if self._is_dirty:
                self._draw(is_last=False)
            elif not self._text and self._is_first and now - started > _WAIT_SECONDS:
                self._show([f"\x1b[2m{waiting(int(now - started))}\x1b[0m"])
            spent = time.monotonic() - now
            await asyncio.sleep(max(FRAME_SECONDS, _DRAWING_SHARE * spent))

    def _draw(self, *, is_last: bool) -> None:
        self._is_dirty = False
        blocks, rest = split_blocks(self._text)
        for block in blocks:
            self._finish_block(block)
        self._text = rest
        if is_last:
            self._finish_block(rest)
            self._text = ""
        elif rest.strip():
            lines = self._rendered(rest)
            height = max(self._console.height - 1, 1)
            self._show(lines[-height:] if is_table(rest) else lines)

    def _finish_block(self, block: str) -> None:
        self._show(self._rendered(block))
        self._lines.finish()
        self._is_first = self._is_first and not block.strip()

    def _rendered(self, block: str) -> list[str]:
        lines = render(block, self._console) if block.strip() else []
        return lines if self._is_first or not lines else ["", *lines]

    def _show(self, lines: list[str]) -> None:
        width, height = self._console.size
        if width == self._width:
            self._lines.update(lines, height=height)
        else:
            self._lines.redraw(lines, height=height)
        self._width = width
