"""A program in a pseudo-terminal, and what its screen shows."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping
from types import TracebackType

import pyte
from pyte.screens import Char

from tests.support.cli import HANG_SECONDS

KEYS = {"enter": "\r", "up": "\x1b[A", "ctrl-c": "\x03", "ctrl-d": "\x04", "alt-enter": "\x1b\r"}


class _Screen(pyte.HistoryScreen):  # type: ignore[misc]
    """Answers what a terminal is asked for, as a terminal does."""

    def __init__(self, columns: int, lines: int, answer: Callable[[str], None]) -> None:
        super().__init__(columns, lines, history=5000)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)


class Terminal:
    """``glm3edge`` with a terminal of its own. Waiting in vain fails with what is on the screen."""

    def __init__(
        self, *arguments: str, environment: Mapping[str, str], columns: int = 80, lines: int = 24
    ) -> None:
        self._screen = _Screen(columns, lines, self._answer)
        self._stream = pyte.ByteStream(self._screen)
        self.output = b""
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm-256color", "GLM3EDGE_THREADS": "1", **environment})
            os.execv(sys.executable, [sys.executable, "-m", "glm3edge", *arguments])  # noqa: S606
        self._set_size(columns, lines)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file >= 0:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self._file)

    def type(self, text: str) -> None:
        """Type text and wait until it is in the line."""
        is_empty = self._is_at_prompt()
        self._write(text)
        deadline = time.monotonic() + HANG_SECONDS
        while is_empty and self._is_at_prompt():
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"typed {text!r} and saw\n{self.text}")

    def _write(self, text: str) -> None:
        """Send keys. What the program writes meanwhile is read: neither can wait for the other."""
        data = text.encode()
        while data:
            readable, writable, _ = select.select([self._file], [self._file], [], HANG_SECONDS)
            if readable:
                self._read(0.1)
            elif writable:
                data = data[os.write(self._file, data[:256]) :]
            else:
                raise AssertionError(f"the program takes no keys\n{self.text}")

    def _answer(self, data: str) -> None:
        os.write(self._file, data.encode())

    def press(self, *names: str) -> None:
        """Press keys by name."""
        for name in names:
            self._write(KEYS[name])

    def send(self, text: str) -> None:
        """Type a line."""
        self.type(text)
        self.press("enter")

    def paste(self, text: str) -> None:
        """Paste text as terminals do it."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    def resize(self, columns: int, lines: int) -> None:
        """Make the window another size."""
        self._screen.resize(lines, columns)
        self._set_size(columns, lines)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    @property
    def screen(self) -> str:
        """What is on the screen, without spaces at the ends of lines."""
        rows = (self._screen.buffer[number] for number in range(self._screen.lines))
        return "\n".join(_line_text(row, self._screen.columns) for row in rows).rstrip()

    @property
    def text(self) -> str:
        """What is on the screen and what has scrolled off it."""
        history = [_line_text(row, self._screen.columns) for row in self._screen.history.top]
        return "\n".join([*history, self.screen])

    def drawn(self, look: str) -> str:
        """The characters on the screen that are ``bold``, ``italics`` or ``strikethrough``."""
        rows = (self._screen.buffer[number] for number in range(self._screen.lines))
        cells = (row[column] for row in rows for column in range(self._screen.columns))
        return "".join(cell.data for cell in cells if getattr(cell, look))

    def wait_for(self, *texts: str, times: int = 1, seconds: float = HANG_SECONDS) -> str:
        """Read until all ``texts`` are there, the last as many ``times``; returns all text."""
        deadline = time.monotonic() + seconds
        while True:
            text = self.text
            if all(part in text for part in texts) and text.count(texts[-1]) >= times:
                return text
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"waited for {texts} x {times} and saw\n{self.text}")

    def wait_prompt(self) -> str:
        """Read until the program waits for a line."""
        deadline = time.monotonic() + HANG_SECONDS
        while not self._is_at_prompt():
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"waited for a prompt and saw\n{self.text}")
        return self.text

    def _is_at_prompt(self) -> bool:
        return self.screen.rpartition("\n")[2] == ">"

    def drain(self, seconds: float) -> None:
        """Read what comes for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self._read(left):
            pass

    def wait_end(self) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + HANG_SECONDS
        while self._read(deadline - time.monotonic()):
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"waited for the end and saw\n{self.text}")
        _, status = os.waitpid(self.pid, 0)
        os.close(self._file)
        self._file = -1
        return os.waitstatus_to_exitcode(status)

    def _read(self, seconds: float) -> bool:
        """Read something; False if nothing came, or nothing more comes."""
        if seconds <= 0 or not select.select([self._file], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._file, 65536)
        except OSError:  # EIO: the program has ended
            return False
        self.output += data
        self._stream.feed(data)
        return bool(data)


def _line_text(row: Mapping[int, Char], columns: int) -> str:
    """A row as text; the second half of a wide character is empty."""
    return "".join(row[column].data for column in range(columns)).rstrip()
