"""llama.cpp as a library: started once per process, with its log passed on to Python's."""

import atexit
import ctypes
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import llama_cpp.llama_cpp as native

logger = logging.getLogger("glm3edge.llama")

# ggml_log_level (ggml.h). llama.cpp's information is detail to our users, and its warnings are
# seldom about what they can change.
_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.INFO, 4: logging.ERROR}
_CONTINUE = 5

_lock = threading.Lock()
_started = False


class _LogBridge:
    """Callback that joins the fragments of llama.cpp's log to lines and logs them."""

    def __init__(self) -> None:
        self._line = ""
        self._level = logging.DEBUG
        self.errors: list[str] = []
        self.num_watchers = 0
        self.listeners: list[list[str]] = []
        self.deferred = threading.local()

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
        deferred: list[str] | None = getattr(self.deferred, "errors", None)
        if self._level >= logging.ERROR and deferred is not None:
            deferred.append(line)
        elif self._level >= logging.ERROR and self.num_watchers:
            self.errors.append(line)
            logger.debug("%s", line)
        else:
            logger.log(self._level, "%s", line)


_bridge = _LogBridge()
_callback = native.llama_log_callback(_bridge)  # kept alive: llama.cpp holds the pointer


def start() -> None:
    """Initialize llama.cpp and bridge its log. Later calls do nothing."""
    global _started  # noqa: PLW0603 - the library's state is one per process
    with _lock:
        if _started:
            return
        native.llama_log_set(_callback, ctypes.c_void_p(0))
        native.llama_backend_init()
        atexit.register(_unbridge)
        _started = True


@contextmanager
def first_error() -> Iterator[Callable[[], str]]:
    """Watch for errors that llama.cpp logs within a ``with`` block; yields a getter of the first.

    They are logged at debug level only, since the caller raises the first: that is the cause, and
    those that follow are its consequences.
    """
    _bridge.errors.clear()
    _bridge.num_watchers += 1
    try:
        yield lambda: next(iter(_bridge.errors), "llama.cpp gave no reason")
    finally:
        _bridge.num_watchers -= 1


@contextmanager
def deferred_errors() -> Iterator[list[str]]:
    """Collect errors that llama.cpp logs in this thread; those left in the list are logged then."""
    errors: list[str] = []
    _bridge.deferred.errors = errors
    try:
        yield errors
    finally:
        _bridge.deferred.errors = None
        for line in errors:
            logger.error("%s", line)


@contextmanager
def log_lines() -> Iterator[list[str]]:
    """Lines that llama.cpp logs within a ``with`` block at any level, in any thread."""
    lines: list[str] = []
    _bridge.listeners.append(lines)
    try:
        yield lines
    finally:
        _bridge.listeners.remove(lines)


def _unbridge() -> None:
    """Return the log to llama.cpp: a callback into a finished interpreter crashes."""
    native.llama_log_set(native.llama_log_callback(0), ctypes.c_void_p(0))
