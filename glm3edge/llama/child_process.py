"""Child process that isolates calls of llama.cpp that may end their process.

llama.cpp ends its process when a worker is lost, and when a GPU's driver fails. Calls go to the
child and results come back, one at a time, as pickles through a pipe. Its standard output and error
go to a file, whose last line is the reason if it ends.
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

from glm3edge.errors import EngineLostError, EngineStalledError, ResourceClosedError

T = TypeVar("T")

_PROCESSES = multiprocessing.get_context("spawn")
_POLL_SECONDS = 2.0
_END_SECONDS = 5.0
_MAX_REASON_CHARS = 300
_OUT_OF_MEMORY = ("std::bad_alloc", "MemoryError")
_LOCATION = re.compile(r"^\S+\.\w+:\d+: ")  # in llama.cpp's source
_LOST = (EOFError, OSError)  # raised by a pipe whose other end is closed


class ChildProcess:
    """An object in a child process, whose methods are called from here.

    Methods may be called from any thread; ``call()`` and ``post()`` wait for each other.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        *args: Any,
        check: Callable[[], str | None] = lambda: None,
        timeout: float = 120.0,
    ) -> None:
        """Start the process; ``wait_ready()`` waits until it has made the object.

        Args:
            make: called there with ``args``, returns the object; all of them have to be picklable.
            check: called every few seconds during a long call; returns why the call cannot end, or
                None if it may.
            timeout: seconds that a call may take.
        """
        self._check, self._timeout = check, timeout
        self._lock = threading.RLock()
        self._is_closed = False
        with ExitStack() as stack:
            self._output = _new_file()
            stack.callback(self._output.unlink, missing_ok=True)
            self._pipe, calls = map(stack.enter_context, _PROCESSES.Pipe())
            self._signals, signals = map(stack.enter_context, _PROCESSES.Pipe())
            self._process = _PROCESSES.Process(
                target=_run, args=(calls, signals, self._output, make, args), daemon=True
            )
            self._process.start()
            stack.pop_all()
        calls.close()
        signals.close()
        atexit.register(self.kill)  # before multiprocessing asks it to end, and waits

    def wait_ready(self, timeout: float = math.inf) -> "ChildProcess":
        """Wait until the object is made, or kill the process after ``timeout`` seconds.

        Returns:
            This object.

        Raises:
            EngineLostError: the process ended meanwhile; EngineStalledError: it did not answer.
            Exception: whatever ``make`` raises.
        """
        try:
            with self._lock:
                self._receive(timeout)
        except BaseException:
            self.close()
            raise
        return self

    def call(self, name: str, *args: Any, timeout: float | None = None, **options: Any) -> Any:
        """Call the object's method ``name``; return its result. ``timeout`` is for this call only.

        Raises:
            EngineLostError: the process has ended; EngineStalledError: it does not answer.
            ResourceClosedError: it was closed.
            Exception: whatever this method raises, or one called by ``post()`` before.
        """
        with self._lock:
            self._send((name, args, options, True))
            return self._receive(self._timeout if timeout is None else timeout)

    def post(self, name: str, *args: Any) -> None:
        """Call the object's method ``name`` without waiting for its result.

        Raises:
            EngineLostError: the process has ended.
            ResourceClosedError: it was closed.
        """
        with self._lock:
            self._send((name, args, {}, False))

    def signal(self, name: str) -> None:
        """Call the object's method ``name`` at once, in a second thread beside a running call."""
        with suppress(*_LOST):
            self._signals.send(name)

    def kill(self) -> None:
        """Kill the process; a running call raises EngineLostError."""
        with suppress(ValueError):  # it is closed
            self._process.kill()

    def close(self) -> None:
        """End the process after a running call; later calls do nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            atexit.unregister(self.kill)
            self._pipe.close()  # which ends the process
            self._signals.close()
            self._process.join(_END_SECONDS)
            self._process.kill()
            self._process.join()
            self._process.close()
            self._output.unlink(missing_ok=True)

    def _send(self, message: Any) -> None:
        if self._is_closed:
            raise ResourceClosedError("the engine's process is closed")
        try:
            self._pipe.send(message)
        except _LOST:
            raise self._lost() from None

    def _receive(self, timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        try:
            while not self._pipe.poll(_POLL_SECONDS):
                reason = self._check()
                is_late = time.monotonic() > deadline
                if reason is not None or is_late:
                    self._process.kill()
                    raise EngineStalledError(timeout) if reason is None else EngineLostError(reason)
            is_result, value = self._pipe.recv()
        except _LOST:
            raise self._lost() from None
        if is_result:
            return value
        raise value

    def _lost(self) -> EngineLostError:
        self._process.join(_END_SECONDS)
        return EngineLostError(self._check() or _end_reason(self._output, self._process.exitcode))


def run_in_child(function: Callable[..., T], *args: Any, timeout: float = math.inf) -> T:
    """Run a function in a child process, which then ends; returns its result.

    Raises:
        EngineLostError: the process ended early.
        EngineStalledError: it took more than ``timeout`` seconds.
        Exception: whatever the function raises.
    """
    child = ChildProcess(_Functions, timeout=timeout).wait_ready()
    try:
        result: T = child.call("run", function, *args)
        return result
    finally:
        child.close()


def forbid_core_dumps() -> None:
    """Turn off core dumps, which take gigabytes, and llama.cpp's debugger in this process."""
    os.environ["GGML_NO_BACKTRACE"] = "1"
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - Windows has none

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _prefer_for_oom_kill() -> None:
    """Have Linux end this process, and not its parent, if the machine's memory is used up."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


class _Functions:
    def run(self, function: Callable[..., T], *args: Any) -> T:
        return function(*args)


def _run(
    calls: Connection, signals: Connection, output: Path, make: Callable[..., Any], args: Any
) -> None:
    """Main function of the child process."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # sent to all of a group; the parent ends us
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    forbid_core_dumps()
    _prefer_for_oom_kill()
    _redirect(output)
    with suppress(*_LOST):
        try:
            target = make(*args)
        except Exception as exc:
            calls.send((False, exc))
            return
        calls.send((True, None))
        threading.Thread(target=_handle_signals, args=(signals, target), daemon=True).start()
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


def _handle_signals(signals: Connection, target: Any) -> None:
    with suppress(*_LOST):
        while True:
            getattr(target, signals.recv())()


def _redirect(output: Path) -> None:
    file = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)


def _new_file() -> Path:
    handle, name = tempfile.mkstemp(prefix="glm3edge-", suffix=".log")
    os.close(handle)
    return Path(name)


def _end_reason(output: Path, exit_code: int | None) -> str:
    """The last line that the process wrote, or how it ended."""
    if exit_code is not None and exit_code < 0 and exit_code != -signal.SIGABRT:
        name = signal.Signals(-exit_code).name
        hint = "; it may have run out of memory" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    try:
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    written = [line.strip() for line in lines if line.strip()]
    if written and any(error in written[-1] for error in _OUT_OF_MEMORY):
        return "its process ran out of memory"
    return (
        _LOCATION.sub("", written[-1])[:_MAX_REASON_CHARS]
        if written
        else f"its process ended with {exit_code}"
    )
