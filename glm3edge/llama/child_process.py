"""ChildProcess: a process of its own for what llama.cpp may end a process over.

It does so when a worker goes away, and when a GPU's driver fails. Calls go to that process and
results come back, one at a time, as pickles through a pipe. What it writes to its standard output
and error goes to a file, whose last words tell why it ended.
"""

import atexit
import math
import multiprocessing
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from glm3edge.errors import EngineLostError, ResourceClosedError

T = TypeVar("T")

_PROCESSES = multiprocessing.get_context("spawn")
_POLL_SECONDS = 2.0
_END_SECONDS = 5.0
_MAX_WORDS = 300
_PLACE = re.compile(r"^\S+\.\w+:\d+: ")  # in llama.cpp's source
_LOST = (EOFError, OSError)  # what a pipe raises when there is nobody at its other end


class ChildProcess:
    """An object in a process of its own.

    Methods may be called from any thread; ``call()`` and ``post()`` wait for each other.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        *args: Any,
        check: Callable[[], str | None] = lambda: None,
        patience: float = 120.0,
    ) -> None:
        """Start the process; ``wait_ready()`` waits until it has made the object.

        Args:
            make: called there with ``args``; it and they have to be picklable.
            check: asked every few seconds while a call takes long: why it cannot come to an end,
                None if it may.
            patience: seconds that a call may take.
        """
        self._check, self._patience = check, patience
        self._lock = threading.RLock()
        self._is_closed = False
        with ExitStack() as stack:
            self._words = _new_file()
            stack.callback(self._words.unlink, missing_ok=True)
            self._pipe, calls = map(stack.enter_context, _PROCESSES.Pipe())
            self._signals, signals = map(stack.enter_context, _PROCESSES.Pipe())
            self._process = _PROCESSES.Process(
                target=_run, args=(calls, signals, self._words, make, args), daemon=True
            )
            self._process.start()
            stack.pop_all()
        calls.close()
        signals.close()
        atexit.register(self.kill)  # before multiprocessing asks it to end, and waits

    def wait_ready(self, patience: float = math.inf) -> "ChildProcess":
        """Itself, once the object is made; if it is not in ``patience`` seconds, the process ends.

        Raises:
            EngineLostError: the process ended meanwhile.
            Exception: whatever ``make`` raises.
        """
        try:
            with self._lock:
                self._receive(patience)
        except BaseException:
            self.close()
            raise
        return self

    def call(self, name: str, *args: Any, patience: float | None = None, **options: Any) -> Any:
        """The result of the object's method ``name``, for which ``patience`` may be another.

        Raises:
            EngineLostError: the process has ended or does not answer.
            ResourceClosedError: it was closed.
            Exception: whatever the method raises, or one that was posted before.
        """
        with self._lock:
            self._send((name, args, options, True))
            return self._receive(self._patience if patience is None else patience)

    def post(self, name: str, *args: Any) -> None:
        """Have the object's method ``name`` called, without waiting for its result.

        Raises:
            EngineLostError: the process has ended.
            ResourceClosedError: it was closed.
        """
        with self._lock:
            self._send((name, args, {}, False))

    def signal(self, name: str) -> None:
        """Call the object's method ``name`` at once, beside the call that runs."""
        with suppress(*_LOST):
            self._signals.send(name)

    def kill(self) -> None:
        """End the process; a call that runs ends with EngineLostError."""
        with suppress(ValueError):  # it is closed
            self._process.kill()

    def close(self) -> None:
        """End the process once the call that runs is done. Idempotent."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            atexit.unregister(self.kill)
            self._pipe.close()  # it ends when there is nobody to serve
            self._signals.close()
            self._process.join(_END_SECONDS)
            self._process.kill()
            self._process.join()
            self._process.close()
            self._words.unlink(missing_ok=True)

    def _send(self, message: Any) -> None:
        if self._is_closed:
            raise ResourceClosedError("the engine's process is closed")
        try:
            self._pipe.send(message)
        except _LOST:
            raise self._lost() from None

    def _receive(self, patience: float) -> Any:
        deadline = time.monotonic() + patience
        try:
            while not self._pipe.poll(_POLL_SECONDS):
                reason = self._check()
                if reason is None and time.monotonic() > deadline:
                    reason = f"no answer in {patience:.0f} s"
                if reason is not None:
                    self._process.kill()
                    raise EngineLostError(reason)
            is_result, value = self._pipe.recv()
        except _LOST:
            raise self._lost() from None
        if is_result:
            return value
        raise value

    def _lost(self) -> EngineLostError:
        self._process.join(_END_SECONDS)
        return EngineLostError(self._check() or _last_words(self._words, self._process.exitcode))


def run_in_child(function: Callable[..., T], *args: Any, patience: float = math.inf) -> T:
    """The result of a function that runs in a process of its own, which then ends.

    Raises:
        EngineLostError: the process ended before, or took more than ``patience`` seconds.
        Exception: whatever the function raises.
    """
    apart = ChildProcess(_Functions, patience=patience).wait_ready()
    try:
        result: T = apart.call("run", function, *args)
        return result
    finally:
        apart.close()


def forbid_core_dumps() -> None:
    """No image of gigabytes on disk, and no debugger, when llama.cpp ends this process."""
    os.environ["GGML_NO_BACKTRACE"] = "1"
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - Windows has none

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Functions:
    def run(self, function: Callable[..., T], *args: Any) -> T:
        return function(*args)


def _run(
    calls: Connection, signals: Connection, words: Path, make: Callable[..., Any], args: Any
) -> None:
    """What the process does."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # sent to all of a group; the parent ends us
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    forbid_core_dumps()
    _redirect(words)
    with suppress(*_LOST):
        try:
            target = make(*args)
        except Exception as exc:
            calls.send((False, exc))
            return
        calls.send((True, None))
        threading.Thread(target=_obey, args=(signals, target), daemon=True).start()
        _serve(calls, target)


def _serve(calls: Connection, target: Any) -> None:
    error: Exception | None = None
    while True:
        name, args, options, is_awaited = calls.recv()
        result = None
        try:
            if error is None or not is_awaited:
                result = getattr(target, name)(*args, **options)
        except Exception as exc:
            error = exc
        if is_awaited:
            calls.send((True, result) if error is None else (False, error))
            error = None


def _obey(signals: Connection, target: Any) -> None:
    with suppress(*_LOST):
        while True:
            getattr(target, signals.recv())()


def _redirect(words: Path) -> None:
    file = os.open(words, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)


def _new_file() -> Path:
    handle, name = tempfile.mkstemp(prefix="glm3edge-", suffix=".log")
    os.close(handle)
    return Path(name)


def _last_words(words: Path, exit_code: int | None) -> str:
    """What the process wrote last, or what it ended with."""
    if exit_code is not None and exit_code < 0 and exit_code != -signal.SIGABRT:
        name = signal.Signals(-exit_code).name
        hint = "; was there no memory left?" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    try:
        lines = words.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    spoken = [line.strip() for line in lines if line.strip()]
    return (
        _PLACE.sub("", spoken[-1])[:_MAX_WORDS] if spoken else f"its process ended with {exit_code}"
    )
