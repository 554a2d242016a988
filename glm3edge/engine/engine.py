"""Engine: one thread that owns a context here, and serves queued sequences.

    submit() ──> inbox ──> EngineCore.step() ──> Outbox ──> post(events)

Any thread may submit and cancel. Events leave the engine's thread through ``post``, for all
sequences together.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from glm3edge.core import FinishReason, ModelState
from glm3edge.engine.backend import Backend, Restartable
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.disk_cache import DiskCache
from glm3edge.engine.engine_core import EngineCore
from glm3edge.engine.interface import Cancel, InferenceEngine
from glm3edge.engine.outbox import Outbox, Post, post_here
from glm3edge.engine.recovery import Recovery
from glm3edge.engine.request import GenerationRequest, GrammarCompiler, Sink
from glm3edge.engine.sequence import EngineSequence, Generation
from glm3edge.errors import EngineClosedError, EngineError, EngineLostError, QueueFullError

logger = logging.getLogger(__name__)

_SAVE_SECONDS = 2.0
"""How long the engine is idle before the KV cache goes to disk."""

_MAX_FAILURES = 3
"""Batches in a row that fail before the engine counts as broken."""


class Engine:
    """``InferenceEngine`` of this machine: runs sequences on a backend.

    Every submitted sequence gets exactly one ending.

    Attributes:
        max_running: sequences that share a batch.
        stats: counters.
    """

    continues_grammars = True
    replicas: ClassVar[Mapping[str, InferenceEngine]] = {}

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
        guide: GrammarCompiler | None = None,
        idle_unload: float = math.inf,
    ) -> None:
        """Create an engine; ``start()`` starts its thread.

        Args:
            backend: model and context, with ``num_slots(max_running)`` sequences.
            max_running: sequences that share a batch; 1 if ``deterministic``.
            max_waiting: sequences that may wait for a slot.
            disk: the KV cache on disk, for the next start.
            timeout: seconds from its arrival after which a sequence ends with an error.
            use_drafts: speculate where the text repeats itself.
            deterministic: give the same reply to the same request, to the bit: the shape of each
                batch depends on its request only. One request at a time, prompts in pieces of the
                batch size, no drafts, and only such whole pieces from the KV cache.
            batch_timing: measured durations of batches; None starts without any.
            coalesce_seconds: how long tokens may wait to be posted with others; the first token of
                a sequence and its finish do not wait.
            recovery: restarts the backend, if it can be lost.
            guide: compiles the grammars of requests; without one no request may have any.
            idle_unload: seconds without a sequence after which ``recovery`` unloads the model.
        """
        batch_timing = batch_timing or BatchTiming()
        self._outbox = Outbox(batch_timing, coalesce_seconds=coalesce_seconds)
        self._core = EngineCore(
            backend,
            self._outbox,
            batch_timing,
            max_running=max_running,
            disk=disk,
            timeout=timeout,
            use_drafts=use_drafts,
            deterministic=deterministic,
        )
        self.max_running = self._core.max_running
        self.stats = self._core.stats
        self._backend = backend
        self._max_waiting = max_waiting
        self._guide = guide
        self._recovery = None if recovery is None else self._make_recovery(recovery)
        self._wake = threading.Condition()
        self._inbox: list[EngineSequence] = []
        self._any_cancelled = False
        self._tasks: deque[tuple[Callable[[], None], Callable[[Exception], None]]] = deque()
        self._closing = False
        self._idle_unload = idle_unload
        self._used_at = time.monotonic()
        self._is_saved = True  # whether idle slots have been given to the disk cache
        self._thread: threading.Thread | None = None

    @property
    def context_size(self) -> int:
        """Tokens that prompt and reply may have together."""
        return self._backend.context_size

    @property
    def capacity(self) -> int:
        """Sequences that may run and wait together."""
        return self.max_running + self._max_waiting

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
        """Reason why requests fail although the engine runs; None if they do not."""
        if (error := self._loss) is not None:
            return error.reason
        if self._core.num_failures >= _MAX_FAILURES:
            return "llama.cpp fails; see the log"
        return None

    @property
    def model_state(self) -> ModelState | None:
        """Whether the model is loaded; None if it is never unloaded."""
        if self._recovery is None or self._idle_unload == math.inf:
            return None
        return self._recovery.state

    @property
    def num_running(self) -> int:
        """Sequences in the running batch."""
        return len(self._core.scheduler.running)

    @property
    def num_waiting(self) -> int:
        """Sequences in the queue."""
        return len(self._inbox) + len(self._core.scheduler.waiting)

    @property
    def _loss(self) -> EngineLostError | None:
        """Why the backend is lost, if it is."""
        return None if self._recovery is None else self._recovery.error

    def start(self, post: Post = post_here) -> None:
        """Start the thread; events are delivered through ``post``."""
        self._outbox.post = post
        self._thread = threading.Thread(target=self._run, name="glm3edge-engine", daemon=True)
        self._thread.start()

    def generate(self, request: GenerationRequest, sink: Sink) -> Cancel:
        """See ``InferenceEngine``."""
        self.check_capacity()
        constraint = None
        if request.grammar is not None:
            if self._guide is None:
                raise ValueError("a grammar for an engine without a guide")
            constraint = self._guide.matcher(request.grammar, request.begun_ids)
        return self.submit(Generation(request, sink, constraint))

    def submit(self, sequence: EngineSequence) -> Cancel:
        """Queue a sequence; its sink gets its events. Returns what cancels it.

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
            sequence.deadline = time.monotonic() + self._core.timeout
            self._inbox.append(sequence)
            self._wake.notify()
        return partial(self.cancel, sequence)

    def run_on_engine_thread(
        self, task: Callable[[], None], *, on_error: Callable[[Exception], None]
    ) -> None:
        """Run ``task`` on the engine's thread between two steps, one task each time.

        ``on_error`` gets the error if the engine closes before.

        Raises:
            EngineClosedError: the engine is closed or closing.
        """
        with self._wake:
            if self._closing:
                raise EngineClosedError("the server is shutting down")
            self._tasks.append((task, on_error))
            self._wake.notify()

    def check_capacity(self, num_sequences: int = 1) -> None:
        """Raise what ``submit()`` would raise now for that many sequences."""
        if self._closing:
            raise EngineClosedError("the server is shutting down")
        if (error := self._loss) is not None:
            raise EngineLostError(error.reason)
        with self._wake:  # sequences are not on their way from the inbox to the scheduler
            num_present = len(self._inbox) + self._core.scheduler.num_sequences
        if num_present + num_sequences > self.capacity:
            num_waiting = max(num_present - self.max_running, 0)
            seconds = num_waiting / self.max_running * self._core.mean_run_seconds
            retry_after = min(max(math.ceil(seconds), 1), 60)
            raise QueueFullError(num_waiting=num_waiting, retry_after=retry_after)

    def cancel(self, sequence: EngineSequence) -> None:
        """Ask for an early ending; the sequence gets it within one step. Idempotent."""
        with self._wake:
            sequence.cancelled = True
            self._any_cancelled = True
            self._wake.notify()
        if any(work.sequence is sequence for work in self._core.computing):
            self._backend.abort()

    def request_close(self) -> None:
        """Take no more sequences and end the others with EngineClosedError; does not wait."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._core.computing or self._loss is not None:
            self._backend.abort()

    def close(self) -> None:
        """``request_close()``, then wait for the thread. Idempotent."""
        self.request_close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _make_recovery(self, backend: Restartable) -> Recovery:
        return Recovery(
            backend,
            self.stats,
            on_loss=self._core.reset,
            on_failure=self._end_all,
            meanwhile=self._serve_meanwhile,
        )

    def _run(self) -> None:
        error: Exception = EngineClosedError("the server is shutting down")
        try:
            while self._wait_for_work():
                if self._tasks:
                    self._run_task()
                self._drain_inbox()
                self._load_or_unload()
                self._step()
        except Exception as exc:
            logger.exception("the engine stopped")
            error = EngineError(f"the engine stopped: {exc!r}")
        finally:
            self.request_close()
            self._end_all(error)
            while self._tasks:
                self._tasks.popleft()[1](error)
            self._save_kv_cache(timeout=None)

    def _wait_for_work(self) -> bool:
        """Sleep until there is work; False when the engine closes."""
        idle_since = time.monotonic()
        recovery = self._recovery
        timeout: float | None = _SAVE_SECONDS
        if recovery is not None and recovery.error is not None:
            timeout = recovery.max_idle_seconds
        with self._wake:
            has_work = self._wake.wait_for(self._has_work, timeout)
        if not has_work and self._loss is None:
            self._is_saved = self._is_saved or self._save_kv_cache()
            max_idle = None if recovery is None else recovery.max_idle_seconds
            with self._wake:
                self._wake.wait_for(self._has_work, max_idle if self._is_saved else _SAVE_SECONDS)
        if recovery is not None and not self._closing:
            recovery.attend(time.monotonic() - idle_since)
        return not self._closing

    def _has_work(self) -> bool:
        scheduler = self._core.scheduler
        has_sequences = self._inbox or scheduler.running or scheduler.waiting
        return bool(self._closing or has_sequences or self._tasks)

    def _run_task(self) -> None:
        """Run the next task of ``run_on_engine_thread()``."""
        self._outbox.flush()
        self._tasks.popleft()[0]()

    def _drain_inbox(self) -> None:
        """Hand submitted sequences and cancellations to the core."""
        core = self._core
        with self._wake:
            for sequence in self._inbox:
                core.scheduler.add(sequence)
                self._is_saved = False
            self._inbox.clear()
            core.any_cancelled |= self._any_cancelled
            self._any_cancelled = False

    def _load_or_unload(self) -> None:
        """Load the model if there is a sequence for it, and unload it after a quiet while."""
        recovery = self._recovery
        if recovery is None or recovery.error is not None:
            return
        if self._core.scheduler.num_sequences:
            self._used_at = time.monotonic()
            if recovery.state is ModelState.UNLOADED:
                recovery.load()
            return
        is_due = self._is_saved and time.monotonic() - self._used_at >= self._idle_unload
        if is_due and recovery.state is ModelState.LOADED:
            recovery.unload()

    def _step(self) -> None:
        try:
            self._core.step()
        except EngineLostError as exc:
            if self._recovery is None:
                raise
            self._recovery.lose(exc)

    def _serve_meanwhile(self) -> None:
        """Serve cancellations, timeouts and tasks while the backend restarts."""
        self._drain_inbox()
        self._core.reap()
        if self._tasks:
            self._run_task()
        if self._closing:  # the restart may have begun after request_close() called abort()
            self._backend.abort()

    def _end_all(self, error: Exception) -> None:
        """End all sequences, those in the inbox too, with ``error``."""
        self._drain_inbox()
        self._core.end(self._core.sequences, FinishReason.ERROR, error)

    def _save_kv_cache(self, timeout: float | None = 0.0) -> bool:
        """Save idle slots to disk, if there is a disk cache; False if it has no room for all yet.

        ``timeout`` is as for ``KVCache.save_idle()``.
        """
        try:
            return self._core.kv_cache.save_idle(timeout=timeout)
        except EngineLostError:
            pass  # the next step or check will see it too
        except Exception:
            logger.exception("the KV cache could not be saved")
        return True
