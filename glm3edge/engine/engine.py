"""Engine: one thread that owns the context and serves queued sequences.

    submit() ──> inbox ──> step(): reap, admit, plan, decode, advance, emit ──> post(events)

Any thread may submit and cancel. Events leave the engine's thread through ``post``, for all
sequences together, so that an event loop is woken once per step at the most, and less often where
steps are shorter than anyone can see: it takes its time from the same processor.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from glm3edge.core import FinishedEvent, FinishReason, ProgressEvent, Span
from glm3edge.engine.backend import Backend, Restartable
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.disk_cache import DiskCache, common_prefix_length
from glm3edge.engine.kv_cache import KVCache, num_slots
from glm3edge.engine.scheduler import Scheduler, Work
from glm3edge.engine.sequence import EngineSequence
from glm3edge.engine.speculation import Speculator
from glm3edge.engine.stats import Stats
from glm3edge.errors import (
    DecodeAbortedError,
    EngineClosedError,
    EngineError,
    EngineLostError,
    Glm3EdgeError,
    QueueFullError,
    TimeoutExceededError,
)

logger = logging.getLogger(__name__)

Post = Callable[[Callable[[], None]], object]
"""Runs a callable where events are wanted, such as ``loop.call_soon_threadsafe``."""

_Emitted = list[tuple[EngineSequence, Any]]

_SAVE_SECONDS = 2.0
"""How long the engine is idle before what it has computed goes to disk."""

_GROWTH = 64
"""Tokens of room a sequence should find besides its own when it joins others."""

_WORTH_SHARING = 32
"""Tokens two prompts must have in common for one to wait until the other has computed them."""


_CHECK_SECONDS = 5.0
"""How often an idle engine looks whether what it computes with is still there."""

_TRUST_SECONDS = 1.0
"""How long it may have been idle and yet begin without looking."""

_RETRY_SECONDS = 1.0
"""How long it waits before it tries again to begin anew."""

_REAP_SECONDS = 0.1
"""How often it looks meanwhile for requests that were cancelled."""

_MANY_FAILURES = 3
"""Batches in a row that fail before the engine counts as broken."""


def _post_here(deliver: Callable[[], None]) -> None:
    deliver()


class Engine:
    """Runs sequences on a backend. Every submitted sequence gets exactly one ending."""

    def __init__(
        self,
        backend: Backend[Any],
        *,
        max_running: int = 4,
        max_waiting: int = 64,
        disk: DiskCache | None = None,
        timeout: float = math.inf,
        use_drafts: bool = True,
        deterministic: bool = False,
        batch_timing: BatchTiming | None = None,
        coalesce_seconds: float = 0.0,
        recovery: Restartable | None = None,
    ) -> None:
        """Prepare to run; ``start()`` does.

        Args:
            backend: with ``num_slots(max_running)`` sequences.
            max_running: sequences that share a batch.
            max_waiting: sequences that may wait for a place.
            disk: where what was computed is kept for the next start.
            timeout: seconds from its arrival after which a sequence ends with an error.
            use_drafts: draft tokens where the text repeats itself.
            deterministic: compute every token in a batch whose shape depends on nothing but its
                request: one request at a time, prompts in pieces of the batch size, no drafts,
                and from memory only such whole pieces. The same request then gives the same reply
                to the bit.
            batch_timing: what is known of how long batches take.
            coalesce_seconds: how long tokens may wait for others to be posted with them; the
                first token of a sequence and its finish do not wait.
            recovery: begins anew where the backend may be lost.
        """
        self.max_running = 1 if deterministic else max_running
        self._deterministic = deterministic
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._backend = backend
        self._kv_cache = KVCache(
            backend,
            num_slots=1 if deterministic else num_slots(max_running),
            disk=disk,
            block_size=backend.batch_size if deterministic else 1,
        )
        self._batch_timing = batch_timing or BatchTiming()
        self._speculator = (
            Speculator(self._batch_timing) if use_drafts and not deterministic else None
        )
        self.stats = Stats()
        self._hold_seconds = coalesce_seconds
        self._outbox: _Emitted = []
        self._outbox_since = 0.0  # when the first of them came, in seconds of perf_counter()
        self._recovery = recovery
        self._lost: EngineLostError | None = None
        self._retry_at = 0.0  # when to try to begin anew, in seconds of monotonic()
        self._num_failures = 0  # batches in a row
        self._computing: list[Work] = []  # the batch that is being decoded
        self._adapter = 0  # the one it is decoded with
        self._scheduler = Scheduler(
            max_running=self.max_running,
            batch_size=backend.batch_size,
            batch_timing=self._batch_timing,
        )
        self._turn_seconds = 1.0  # that a sequence runs, as a running mean
        self._wake = threading.Condition()
        self._inbox: list[EngineSequence] = []
        self._calls: deque[tuple[Callable[[], None], Callable[[Exception], None]]] = deque()
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

    @property
    def is_healthy(self) -> bool:
        """Whether requests are being served, and the last batches did not all fail."""
        return self.is_running and self.problem is None

    @property
    def problem(self) -> str | None:
        """What keeps the engine from serving requests, though it runs; None if nothing does."""
        if self._lost is not None:
            return self._lost.reason
        if self._num_failures >= _MANY_FAILURES:
            return "llama.cpp fails; see the log"
        return None

    @property
    def num_running(self) -> int:
        """Sequences in batches now."""
        return len(self._scheduler.running)

    @property
    def num_waiting(self) -> int:
        """Sequences that wait for a place."""
        return len(self._inbox) + len(self._scheduler.waiting)

    def start(self, post: Post = _post_here) -> None:
        """Start the thread; events are delivered through ``post``."""
        self._post = post
        self._thread = threading.Thread(target=self._run, name="glm3edge-engine", daemon=True)
        self._thread.start()

    def submit(self, sequence: EngineSequence) -> None:
        """Queue a sequence; its sink gets its events.

        Raises:
            EngineClosedError: the engine is closed or closing.
            EngineLostError: the backend is lost and not yet back.
            QueueFullError: as many sequences wait as may.
            ValueError: it may become longer than the context, and would never end.
        """
        if sequence.num_prompt_tokens + sequence.num_remaining > self.context_size:
            raise ValueError("a sequence that does not fit the context")
        with self._wake:
            self.check_capacity()
            sequence.deadline = time.monotonic() + self._timeout
            self._inbox.append(sequence)
            self._wake.notify()

    def run_on_engine_thread(
        self, task: Callable[[], None], *, on_error: Callable[[Exception], None]
    ) -> None:
        """Run ``task`` on this engine's thread, one a step: for what else computes.

        ``on_error`` is told instead if the engine closes before.

        Raises:
            EngineClosedError: the engine is closed or closing.
        """
        with self._wake:
            if self._closing:
                raise EngineClosedError("the server is shutting down")
            self._calls.append((task, on_error))
            self._wake.notify()

    def check_capacity(self, num_sequences: int = 1) -> None:
        """Raise what ``submit()`` would raise now for that many sequences."""
        if self._closing:
            raise EngineClosedError("the server is shutting down")
        if self._lost is not None:
            raise EngineLostError(self._lost.reason)
        num_waiting = self.num_waiting
        num_places = self.max_running - self.num_running + self._max_waiting
        if num_waiting + num_sequences > num_places:
            turns = num_waiting / self.max_running
            retry_after = min(max(math.ceil(turns * self._turn_seconds), 1), 60)
            raise QueueFullError(num_waiting=num_waiting, retry_after=retry_after)

    def cancel(self, sequence: EngineSequence) -> None:
        """Ask for an early ending; the sequence gets it within one step. Idempotent."""
        with self._wake:
            sequence.cancelled = True
            self._reap_needed = True
            self._wake.notify()
        if any(work.sequence is sequence for work in self._computing):
            self._backend.abort()

    def request_close(self) -> None:
        """Take no more sequences and end the others with EngineClosedError; does not wait."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._computing or self._lost is not None:
            self._backend.abort()

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
            while self._calls:
                self._calls.popleft()[1](error)
            self._save_idle()

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do; False when the engine closes."""
        idle_since = time.monotonic()
        with self._wake:
            timeout = _SAVE_SECONDS if self._lost is None else _RETRY_SECONDS
            has_work = self._wake.wait_for(self._has_work, timeout=timeout)
        if not has_work and self._lost is None:
            self._save_idle()
            has_work = self._sleep()
        if self._recovery is not None and not self._closing:
            self._look_after(self._recovery, idle_since)
        return not self._closing

    def _sleep(self) -> bool:
        """Wait long; whether there is something to do then."""
        with self._wake:
            timeout = None if self._recovery is None else _CHECK_SECONDS
            return self._wake.wait_for(self._has_work, timeout=timeout)

    def _look_after(self, recovery: Restartable, idle_since: float) -> None:
        """Begin anew if the backend is lost, and after a while look whether it is."""
        if self._lost is not None:
            if time.monotonic() >= self._retry_at:
                self._recover(recovery)
        elif time.monotonic() - idle_since > _TRUST_SECONDS:
            try:
                recovery.check()
            except EngineLostError as exc:
                self._lose(recovery, exc)

    def _lose(self, recovery: Restartable, exc: EngineLostError) -> None:
        """What has begun ends; what waits does if there is no beginning anew at once."""
        logger.error("the engine is lost: %s", exc.reason)
        self._lost = exc
        self._computing = []
        self._adapter = self._num_failures = 0
        begun = [s for s in self._everything() if s.has_run]
        self._end(begun, FinishReason.ERROR, exc)
        self._kv_cache.clear()
        self._recover(recovery)

    def _recover(self, recovery: Restartable) -> None:
        """Try to begin anew. It may take minutes, and requests can be cancelled meanwhile."""
        failures: list[Exception] = []

        def restart() -> None:
            try:
                recovery.restart()
            except Exception as exc:
                failures.append(exc)

        thread = threading.Thread(target=restart, name="glm3edge-restart", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(_REAP_SECONDS)
            self._empty_inbox()
            self._reap()
            self._run_call()
            if self._closing:  # it may have begun after abort() was called for that
                self._backend.abort()
        if failures:
            reason = getattr(failures[0], "reason", str(failures[0]))
            self._lost = EngineLostError(reason)
            logger.debug("not back yet: %s", reason)
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            self._end(self._everything(), FinishReason.ERROR, self._lost)
        else:
            logger.warning("the engine is back")
            self.stats.num_restarts += 1
            self._lost = None

    def _save_idle(self) -> None:
        try:
            self._kv_cache.save_idle()
        except EngineLostError:
            pass  # whoever looks next will see it too
        except Exception:
            logger.exception("what was computed could not be saved")

    def _has_work(self) -> bool:
        scheduler = self._scheduler
        has_sequences = self._inbox or scheduler.running or scheduler.waiting
        return bool(self._closing or has_sequences or self._calls)

    def _run_call(self) -> None:
        """Do one of the tasks of others, if there are any."""
        if self._calls:
            if self._outbox:
                self._flush()
            self._calls.popleft()[0]()

    def _step(self) -> None:
        self._run_call()
        try:
            self._run_batch()
        except EngineLostError as exc:
            if self._recovery is None:
                raise
            self._lose(self._recovery, exc)

    def _run_batch(self) -> None:
        self._reap()
        self._admit()
        batch = self._plan()
        if not batch:
            return
        try:
            indices = self._decode(batch)
        except DecodeAbortedError:
            self._undo(batch)
        except Exception as exc:
            self._num_failures += 1
            self._fail([work.sequence for work in batch], exc)
        else:
            self._num_failures = 0
            self._advance(batch, indices)

    def _reap(self) -> None:
        """End the sequences that were cancelled, and those that have taken too long."""
        if self._reap_needed:
            self._reap_needed = False
            self._end([s for s in self._everything() if s.cancelled], FinishReason.CANCELLED)
        if self._timeout < math.inf:
            now, scheduler = time.monotonic(), self._scheduler
            late = [s for s in scheduler.running + scheduler.waiting if now >= s.deadline]
            self._end(late, FinishReason.ERROR, TimeoutExceededError(self._timeout))

    def _admit(self) -> None:
        """Start the waiting sequences that there is a place and memory for, in their order."""
        scheduler = self._scheduler
        for sequence in list(scheduler.waiting):
            if scheduler.is_full and self._preempt_for(sequence) is None:
                return
            if self._shares_a_running_prompt(sequence):
                continue
            while not self._has_place(sequence):
                if (other := self._preempt_for(sequence)) is None:
                    return
                self._preempt(other)
            self._start(sequence)

    def _preempt_for(self, sequence: EngineSequence) -> EngineSequence | None:
        """A running sequence that has to wait for this one: what it has said would be computed in
        other batches later, so there is none where that matters."""
        return None if self._deterministic else self._scheduler.victim(below=sequence)

    def _has_place(self, sequence: EngineSequence) -> bool:
        if not self._scheduler.running:
            return True
        if self._scheduler.is_full:
            return False
        needed = self._kv_cache.num_new_cells(sequence.token_ids, sequence.adapter) + _GROWTH
        return needed <= self._kv_cache.num_available

    def _shares_a_running_prompt(self, sequence: EngineSequence) -> bool:
        """Whether another is about to compute much of the same prompt."""
        adapter = sequence.adapter
        running = [s for s in self._scheduler.running if s.num_pending > 1 and s.adapter == adapter]
        if sequence.needs_hidden_states or not running:
            return False
        ids = np.asarray(sequence.token_ids)
        known = self._kv_cache.match_prefix(sequence.token_ids, adapter).length
        return any(
            common_prefix_length(ids, np.asarray(other.token_ids)) >= max(known + 1, _WORTH_SHARING)
            for other in running
            if not other.needs_hidden_states and other.priority <= sequence.priority
        )

    def _start(self, sequence: EngineSequence) -> None:
        self._scheduler.run(sequence)
        sequence.started_at = time.monotonic()
        try:
            slot, length = self._kv_cache.allocate(
                sequence.token_ids,
                adapter=sequence.adapter,
                reuse=not sequence.needs_hidden_states,
            )
            sequence.start(self._backend, slot, length)
            self._emit([(sequence, e) for e in sequence.start_events(self._backend.batch_size)])
        except Exception as exc:
            self._fail([sequence], exc)

    def _preempt(self, sequence: EngineSequence) -> None:
        """Let a running sequence wait again; what it computed is kept as long as may be."""
        assert sequence.slot is not None  # noqa: S101 - for the type checker
        self._kv_cache.release(sequence.slot, keep=not sequence.needs_hidden_states)
        sequence.preempt()
        self._scheduler.preempt(sequence)

    def _plan(self) -> list[Work]:
        """The next batch; where memory is short, after the youngest have yielded."""
        while not (batch := self._scheduler.plan(self._kv_cache.num_available)):
            if (last := self._scheduler.victim()) is None:
                break
            self._preempt(last)
        if self._speculator is not None:
            num_planned = sum(work.num_tokens for work in batch)
            budget = min(self._kv_cache.num_available, self._backend.batch_size) - num_planned
            self._speculator.draft(batch, budget=budget)
        return batch

    def _decode(self, batch: list[Work]) -> list[int]:
        """Compute a batch; returns for each work the position of its last token before drafts."""
        spans = [_span(work) for work in batch]
        for span in spans:
            self._kv_cache.append(span.sequence_id, span.token_ids)
        first = batch[0].sequence
        is_same_adapter, self._adapter = self._adapter == first.adapter, first.adapter
        self._computing = batch
        num_tokens = sum(len(span.token_ids) for span in spans)
        self._flush_before(num_tokens)
        start = time.perf_counter()
        try:
            indices = self._backend.decode(
                spans, hidden_states=first.needs_hidden_states, adapter=first.adapter
            )
        finally:
            self._computing = []
        if is_same_adapter:  # the first batch after a change takes longer
            self._batch_timing.observe(num_tokens, time.perf_counter() - start)
        return [index - span.num_drafts for index, span in zip(indices, spans, strict=True)]

    def _undo(self, batch: list[Work]) -> None:
        """Forget what an aborted batch has computed; its sequences go on from where they were."""
        for work in batch:
            self._trim(work.sequence)

    def _trim(self, sequence: EngineSequence) -> None:
        """Take from memory what is no part of the sequence's text, such as rejected drafts."""
        slot = sequence.slot
        if slot is not None and self._kv_cache.length(slot) > sequence.num_computed:
            self._kv_cache.truncate(slot, sequence.num_computed)

    def _advance(self, batch: list[Work], indices: list[int]) -> None:
        emitted: _Emitted = []
        try:
            for work, index in zip(batch, indices, strict=True):
                sequence = work.sequence
                try:
                    events = sequence.advance(
                        self._backend, num_tokens=work.num_tokens, index=index
                    )
                except Exception as exc:
                    self._fail([sequence], exc)
                    continue
                emitted += [(sequence, event) for event in events]
                self._trim(sequence)
                if sequence.is_done:
                    self._retire(sequence)
        finally:  # if the engine is lost meanwhile, these have come nevertheless
            self._emit(emitted)

    def _fail(self, sequences: list[EngineSequence], exc: Exception) -> None:
        """End sequences with an error; the engine goes on, unless it is lost."""
        if isinstance(exc, EngineLostError):
            raise exc
        if isinstance(exc, Glm3EdgeError):
            logger.error("%d request(s) failed: %s", len(sequences), exc)
        else:
            logger.error("%d request(s) failed", len(sequences), exc_info=exc)
            exc = EngineError(f"internal error: {exc!r}")
        self._end(sequences, FinishReason.ERROR, exc)

    def _end(
        self,
        sequences: Iterable[EngineSequence],
        reason: FinishReason,
        error: Exception | None = None,
    ) -> None:
        emitted: _Emitted = []
        for sequence in list(sequences):
            self._retire(sequence, keep=error is None)
            emitted.append((sequence, sequence.end(reason, error)))
        self._emit(emitted)

    def _retire(self, sequence: EngineSequence, *, keep: bool = True) -> None:
        """Free what a sequence holds; what it computed stays in memory if it can be trusted."""
        self._scheduler.remove(sequence)
        if sequence.slot is not None:
            if self._deterministic:
                self._trim_to_whole_pieces(sequence)
            self._kv_cache.release(sequence.slot, keep=keep and not sequence.needs_hidden_states)
            seconds = time.monotonic() - sequence.started_at
            self._turn_seconds += 0.2 * (seconds - self._turn_seconds)
        sequence.release()

    def _trim_to_whole_pieces(self, sequence: EngineSequence) -> None:
        """Keep of a sequence what the same prompt would compute again in the same batches."""
        size = self._backend.batch_size
        whole = sequence.num_prompt_tokens // size * size
        sequence.num_computed = min(sequence.num_computed, whole)
        self._trim(sequence)

    def _empty_inbox(self) -> None:
        with self._wake:
            for sequence in self._inbox:
                self._scheduler.add(sequence)
            self._inbox.clear()

    def _everything(self) -> list[EngineSequence]:
        self._empty_inbox()
        return [*self._scheduler.running, *self._scheduler.waiting]

    def _emit(self, emitted: _Emitted) -> None:
        """Take note of events, and post them if they cannot wait."""
        if not emitted:
            return
        if not self._outbox:
            self._outbox_since = time.perf_counter()
        self._outbox += emitted
        is_urgent = not self._hold_seconds
        for sequence, event in emitted:
            is_progress = isinstance(event, ProgressEvent)
            is_urgent |= is_progress or isinstance(event, FinishedEvent) or not sequence.has_emitted
            sequence.has_emitted |= not is_progress
            if isinstance(event, FinishedEvent):
                self.stats.count(event, num_prompt_tokens=sequence.num_prompt_tokens)
        if is_urgent:
            self._flush()

    def _flush_before(self, num_tokens: int) -> None:
        """Post what would wait too long while a batch of ``num_tokens`` is computed."""
        if self._outbox:
            waited = time.perf_counter() - self._outbox_since
            expected = self._batch_timing.seconds(num_tokens) or math.inf
            if waited + expected > self._hold_seconds:
                self._flush()

    def _flush(self) -> None:
        emitted, self._outbox = self._outbox, []
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
    token_ids = sequence.token_ids[start : start + work.num_tokens] + sequence.draft_ids
    return Span(
        sequence.slot,
        start,
        token_ids,
        wants_output=work.completes,
        num_drafts=len(sequence.draft_ids),
    )
