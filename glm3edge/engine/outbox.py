"""Outbox: events on their way from the engine's thread to the sinks of their sequences."""

import logging
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from glm3edge.core import FinishedEvent, ProgressEvent
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.sequence import EngineSequence

logger = logging.getLogger(__name__)

Post = Callable[[Callable[[], None]], object]
"""Schedules a callable on the thread that receives events, as ``loop.call_soon_threadsafe``."""

SequenceEvents = list[tuple[EngineSequence, Any]]
"""Events, each with the sequence it belongs to."""


def post_here(deliver: Callable[[], None]) -> None:
    """Deliver on the calling thread."""
    deliver()


class Outbox:
    """Posts the events of all sequences together, so that an event loop is woken rarely.

    The loop takes its time from the processor that computes: it is woken once per step at most,
    and less often where steps are shorter than anyone can see.

    Attributes:
        post: where events are delivered.
    """

    def __init__(self, batch_timing: BatchTiming, *, coalesce_seconds: float = 0.0) -> None:
        """Create an empty outbox.

        Args:
            batch_timing: predicts how long events would wait for the next batch.
            coalesce_seconds: how long tokens may wait to be posted with others. Progress, the first
                token of a sequence and its finish do not wait.
        """
        self.post: Post = post_here
        self._batch_timing = batch_timing
        self._coalesce_seconds = coalesce_seconds
        self._events: SequenceEvents = []
        self._oldest_at = 0.0  # when the first of them came, in seconds of perf_counter()

    def add(self, events: SequenceEvents) -> None:
        """Queue events, and post them if they cannot wait."""
        if not events:
            return
        if not self._events:
            self._oldest_at = time.perf_counter()
        self._events += events
        is_urgent = not self._coalesce_seconds
        for sequence, event in events:
            is_progress = isinstance(event, ProgressEvent)
            is_urgent |= is_progress or isinstance(event, FinishedEvent) or not sequence.has_emitted
            sequence.has_emitted |= not is_progress
        if is_urgent:
            self.flush()

    def flush_before(self, num_tokens: int) -> None:
        """Post what would wait too long while a batch of ``num_tokens`` is computed."""
        if self._events:
            waited = time.perf_counter() - self._oldest_at
            expected = self._batch_timing.seconds(num_tokens) or math.inf
            if waited + expected > self._coalesce_seconds:
                self.flush()

    def flush(self) -> None:
        """Post all queued events."""
        if not self._events:
            return
        events, self._events = self._events, []
        try:
            self.post(partial(_deliver, events))
        except RuntimeError:  # the event loop is gone, and everybody who listened with it
            logger.warning("nobody is left to receive %d event(s)", len(events))


def _deliver(events: SequenceEvents) -> None:
    for sequence, event in events:
        sequence.sink(event)
