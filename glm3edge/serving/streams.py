"""Closing of streams whose consumer leaves early."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TypeVar

T = TypeVar("T")


def closing_on_exit(
    stream: AsyncGenerator[T, None],
) -> AbstractAsyncContextManager[AsyncGenerator[T, None]]:
    """Context manager that closes ``stream`` when its block ends, however it ends.

    Every generator that reads another one needs it: left to the garbage collector, the inner one is
    closed late or never, and the engine goes on with a sequence whose client has left.
    """
    return aclosing(stream)
