"""Ctrl-C that cancels a task instead of the program."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


class InterruptedByUserError(Exception):
    """The user pressed Ctrl-C."""


async def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``, which SIGINT cancels. Keys pressed meanwhile are not echoed.

    Raises:
        InterruptedByUserError: SIGINT has canceled it.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    is_interrupted = False

    def stop() -> None:
        nonlocal is_interrupted
        is_interrupted = True
        task.cancel()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)

    # Not the loop's own add_signal_handler(), which Windows lacks.
    previous = signal.signal(signal.SIGINT, on_signal)
    try:
        with _no_echo():
            return await task
    except asyncio.CancelledError:
        if not is_interrupted:
            task.cancel()
            raise
        raise InterruptedByUserError from None
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _no_echo() -> Iterator[None]:
    """Keep keys for the next input line, instead of echoing them into the reply."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415 - not on Windows

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    silent = termios.tcgetattr(descriptor)
    silent[3] &= ~(termios.ECHO | termios.ICANON)  # the signals of Ctrl-C and Ctrl-Z stay
    termios.tcsetattr(descriptor, termios.TCSANOW, silent)
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSANOW, before)
