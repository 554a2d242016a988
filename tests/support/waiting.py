"""Waiting for what happens in other threads, and clients that leave."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:  # tests/clients have no glm3edge
    from tests.support.fakes import FakeBackend

SECONDS = 60.0
"""A guard against hangs; long enough for a busy machine."""

LEAVING = httpx.Timeout(SECONDS, read=1)
"""Timeouts of a client that leaves when a second passes without a byte of the reply."""


def wait_for(condition: Callable[[], object]) -> None:
    """Poll until ``condition`` holds; at most 1200 times, so that ``let_one_through`` cannot let a
    long reply reach its end."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not happen within {SECONDS:g} seconds")
        threading.Event().wait(0.05)


def is_freed(backend: "FakeBackend") -> bool:
    """Whether the first sequence has ended."""
    return bool(backend.samplers) and backend.samplers[0].is_closed


def let_one_through(backend: "FakeBackend") -> bool:
    """Let the engine decode one more batch; returns False, to be used in a condition."""
    assert backend.gate is not None
    backend.gate.release()
    return False
