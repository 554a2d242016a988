"""Starts llama.cpp once per process and turns its log into Python's."""

import atexit
import ctypes
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import llama_cpp.llama_cpp as native

logger = logging.getLogger("glm3edge.llama")

# ggml_log_level (ggml.h). What llama.cpp calls information is detail to our users, and what it
# warns of is seldom theirs to mend.
_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.INFO, 4: logging.ERROR}
_CONTINUE = 5

_lock = threading.Lock()
_started = False


class _LogBridge:
    """Joins the fragments of llama.cpp's log to lines and logs them."""

    def __init__(self) -> None:
        self._line = ""
        self._level = logging.DEBUG
        self.errors: list[str] = []
        self.is_asked = 0
        self.listeners: list[list[str]] = []
        self.held = threading.local()

    def __call__(self, level: int, text: bytes, _user_data: Any) -> None:
        if level != _CONTINUE:
            self._level = _LEVELS.get(level, logging.DEBUG)
        self._line += text.decode("utf-8", errors="replace")
        *lines, self._line = self._line.split("\n")
        for line in filter(None, map(str.strip, lines)):
            self._log(line)

    def _log(self, line: str) -> None:
        for lines in self.listeners:
            lines.append(line)
        held: list[str] | None = getattr(self.held, "errors", None)
        if self._level >= logging.ERROR and held is not None:
            held.append(line)
        elif self._level >= logging.ERROR and self.is_asked:
            self.errors.append(line)
            logger.debug("%s", line)
        else:
            logger.log(self._level, "%s", line)


_bridge = _LogBridge()
_callback = native.llama_log_callback(_bridge)  # kept alive: llama.cpp holds the pointer


def start() -> None:
    """Initialise llama.cpp and bridge its log. Later calls do nothing."""
    global _started  # noqa: PLW0603 - the library's state is one per process
    with _lock:
        if _started:
            return
        native.llama_log_set(_callback, ctypes.c_void_p(0))
        native.llama_backend_init()
        atexit.register(_unbridge)
        _started = True


@contextmanager
def errors_as_reason() -> Iterator[Callable[[], str]]:
    """A function that gives the first of the errors that llama.cpp logs meanwhile.

    They are logged as details only, since who asks for the reason raises it. llama.cpp's first
    error is the cause, and what follows says what that made impossible.
    """
    _bridge.errors.clear()
    _bridge.is_asked += 1
    try:
        yield lambda: next(iter(_bridge.errors), "llama.cpp gave no reason")
    finally:
        _bridge.is_asked -= 1


@contextmanager
def held_errors() -> Iterator[list[str]]:
    """Errors that llama.cpp logs in this thread meanwhile: those that are left are logged."""
    errors: list[str] = []
    _bridge.held.errors = errors
    try:
        yield errors
    finally:
        _bridge.held.errors = None
        for line in errors:
            logger.error("%s", line)


@contextmanager
def log_lines() -> Iterator[list[str]]:
    """What llama.cpp logs meanwhile, details included, in any thread."""
    lines: list[str] = []
    _bridge.listeners.append(lines)
    try:
        yield lines
    finally:
        _bridge.listeners.remove(lines)


def _unbridge() -> None:
    """Give the log back to llama.cpp: a callback into a finished interpreter crashes."""
    native.llama_log_set(native.llama_log_callback(0), ctypes.c_void_p(0))
