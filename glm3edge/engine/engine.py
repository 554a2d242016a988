"""Engine: one thread that owns the context and serves queued sequences.

    submit() ──> inbox ──> step(): reap, admit, decode, advance, emit ──> post(events)

Any thread may submit and cancel. Events leave the engine's thread through ``post``, once per step
for all sequences together, so that an event loop is woken once and not once per token.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from glm3edge.engine.backend import Backend
from glm3edge.engine.scheduler import Scheduler, Work
from glm3edge.engine.sequence import Sequence
from glm3edge.errors import EngineClosedError, EngineError, Glm3EdgeError
from glm3edge.llama.context import Span
from glm3edge.types import FinishReason

logger = logging.getLogger(__name__)

Post = Callable[[Callable[[], None]], object]
"""Runs a callable where events are wanted, such as ``loop.call_soon_threadsafe``."""

_Emitted = list[tuple[Sequence, Any]]


def _post_here(deliver: Callable[[], None]) -> None:
    deliver()


class Engine:
    """Runs sequences on a backend. Every submitted sequence gets exactly one ending."""

    def __init__(self, backend: Backend[Any], *, max_running: int = 1) -> None:
        self._backend = backend
        self._scheduler = Scheduler(max_running=max_running, batch_size=backend.batch_size)
        self._wake = threading.Condition()
        self._inbox: list[Sequence] = []
        self._closing = False
        self._reap_needed = False
        self._post: Post = _post_here
        self._thread: threading.Thread | None = None

    @property
    def context_size(self) -> int:
        """Tokens that prompt and reply may have together."""
        return self._backend.context_size

    @property
    def is_running(self) -> bool:
        """Whether requests are being served."""
        return self._thread is not None and self._thread.is_alive() and not self._closing

    def start(self, post: Post = _post_here) -> None:
        """Start the thread; events are delivered through ``post``."""
        self._post = post
        self._thread = threading.Thread(target=self._run, name="glm3edge-engine", daemon=True)
        self._thread.start()

    def submit(self, sequence: Sequence) -> None:
        """Queue a sequence; its sink gets its events.

        Raises:
            EngineClosedError: the engine is closed or closing.
        """
        with self._wake:
            if self._closing:
                raise EngineClosedError("the server is shutting down")
            self._inbox.append(sequence)
            self._wake.notify()

    def cancel(self, sequence: Sequence) -> None:
        """Ask for an early ending; the sequence gets it within one step. Idempotent."""
        with self._wake:
            sequence.cancelled = True
            self._reap_needed = True
            self._wake.notify()

    def request_close(self) -> None:
        """Take no more sequences and end the others with EngineClosedError; does not wait."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    def close(self) -> None:
        """``request_close()``, then wait for the thread. Idempotent."""
        self.request_close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        error: Exception = EngineClosedError("the server is shutting down")
        try:
            while self._wait_for_work():
                self._empty_inbox()
                self._step()
        except Exception as exc:
            logger.exception("the engine stopped")
            error = EngineError(f"the engine stopped: {exc!r}")
        finally:
            self.request_close()
            self._end(self._everything(), FinishReason.ERROR, error)

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do; False when the engine closes."""
        with self._wake:
            self._wake.wait_for(self._has_work)
            return not self._closing

    def _has_work(self) -> bool:
        scheduler = self._scheduler
        return bool(self._closing or self._inbox or scheduler.running or scheduler.waiting)

    def _step(self) -> None:
        self._reap()
        self._admit()
        batch = self._scheduler.plan()
        if not batch:
            return
        try:
            indices = self._decode(batch)
        except Exception as exc:
            self._fail([work.sequence for work in batch], exc)
        else:
            self._advance(batch, indices)

    def _reap(self) -> None:
        """End the sequences that were cancelled."""
        if self._reap_needed:
            self._reap_needed = False
            self._end([s for s in self._everything() if s.cancelled], FinishReason.CANCELLED)

    def _admit(self) -> None:
        for sequence, slot in self._scheduler.admit():
            try:
                sequence.start(self._backend, slot)
            except Exception as exc:
                self._fail([sequence], exc)

    def _decode(self, batch: list[Work]) -> list[int]:
        spans = [_span(work) for work in batch]
        hidden_states = batch[0].sequence.needs_hidden_states
        return self._backend.decode(spans, hidden_states=hidden_states)

    def _advance(self, batch: list[Work], indices: list[int]) -> None:
        emitted: _Emitted = []
        for work, index in zip(batch, indices, strict=True):
            sequence = work.sequence
            try:
                events = sequence.advance(self._backend, num_tokens=work.num_tokens, index=index)
            except Exception as exc:
                self._fail([sequence], exc)
                continue
            emitted += [(sequence, event) for event in events]
            if sequence.is_done:
                self._retire(sequence)
        self._emit(emitted)

    def _fail(self, sequences: list[Sequence], exc: Exception) -> None:
        """End sequences with an error; the engine goes on."""
        if isinstance(exc, Glm3EdgeError):
            logger.error("%d request(s) failed: %s", len(sequences), exc)
        else:
            logger.error("%d request(s) failed", len(sequences), exc_info=exc)
            exc = EngineError(f"internal error: {exc!r}")
        self._end(sequences, FinishReason.ERROR, exc)

    def _end(
        self, sequences: Iterable[Sequence], reason: FinishReason, error: Exception | None = None
    ) -> None:
        emitted: _Emitted = []
        for sequence in list(sequences):
            self._retire(sequence)
            emitted.append((sequence, sequence.end(reason, error)))
        self._emit(emitted)

    def _retire(self, sequence: Sequence) -> None:
        """Free what a sequence holds."""
        self._scheduler.remove(sequence)
        if sequence.slot is not None:
            self._backend.remove(sequence.slot)
        sequence.release()

    def _empty_inbox(self) -> None:
        with self._wake:
            for sequence in self._inbox:
                self._scheduler.add(sequence)
            self._inbox.clear()

    def _everything(self) -> list[Sequence]:
        self._empty_inbox()
        return [*self._scheduler.running, *self._scheduler.waiting]

    def _emit(self, emitted: _Emitted) -> None:
        if not emitted:
            return
        try:
            self._post(partial(_deliver, emitted))
        except RuntimeError:  # the event loop is gone, and everybody who listened with it
            logger.warning("nobody is left to receive %d event(s)", len(emitted))


def _deliver(emitted: _Emitted) -> None:
    for sequence, event in emitted:
        sequence.sink(event)


def _span(work: Work) -> Span:
    sequence = work.sequence
    assert sequence.slot is not None  # noqa: S101 - for the type checker; running means a slot
    start = sequence.num_computed
    token_ids = sequence.token_ids[start : start + work.num_tokens]
    return Span(sequence.slot, start, token_ids, wants_output=work.completes)
