"""How a reply is shown while it comes: as Markdown on a terminal, as it is elsewhere."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TextIO

from rich.console import Console

from glm3edge.commands.chat.terminal.live import LiveLines
from glm3edge.commands.chat.terminal.markdown import is_table, plain_of, rendered, split_blocks

FRAME_SECONDS = 1 / 15
"""How often a reply is redrawn at the most."""

_WAIT_SECONDS = 1.0  # a reply that begins sooner needs no excuse
_DRAWING_SHARE = 8  # of the time, at the most one part in so many is spent with drawing


class Display(Protocol):
    """Where the prose of a reply goes."""

    async def start(self, waiting: Callable[[int], str]) -> None:
        """A reply was asked for; ``waiting`` says so, after a number of seconds."""

    def feed(self, text: str) -> None:
        """More of its text has come."""

    async def finish(self) -> None:
        """Nothing more comes. Idempotent."""


class PlainDisplay:
    """Writes a reply as it comes, and a line end after it. See ``Display``."""

    def __init__(self, file: TextIO) -> None:
        """To ``file``; what a terminal obeys is left out if it is one."""
        self._file = file
        self._is_terminal = file.isatty()
        self._last = "\n"

    async def start(self, waiting: Callable[[int], str]) -> None:
        """See ``Display``."""

    def feed(self, text: str) -> None:
        """See ``Display``."""
        self._file.write(plain_of(text) if self._is_terminal else text)
        self._file.flush()
        self._last = text[-1:] or self._last

    async def finish(self) -> None:
        """See ``Display``."""
        if self._last != "\n":
            self._file.write("\n")
            self._file.flush()
        self._last = "\n"


class MarkdownDisplay:
    """Shows Markdown while it is written. Blocks that are complete are drawn once. See ``Display``.

    A table that is larger than the screen shows its end until it is complete.
    """

    def __init__(self, console: Console) -> None:
        """On a terminal that can move its cursor."""
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
        self._text += plain_of(text)
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
        lines = rendered(block, self._console) if block.strip() else []
        return lines if self._is_first or not lines else ["", *lines]

    def _show(self, lines: list[str]) -> None:
        width, height = self._console.size
        if width == self._width:
            self._lines.update(lines, height=height)
        else:
            self._lines.redraw(lines, height=height)
        self._width = width
