"""EngineCore: continuous batching, step by step.

step(): reap ──> admit ──> plan ──> decode ──> advance ──> emit
"""

import logging
import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from glm3edge.core import FinishReason, Span
from glm3edge.engine.backend import Backend
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.disk_cache import DiskCache, common_prefix_length
from glm3edge.engine.kv_cache import KVCache, num_slots
from glm3edge.engine.outbox import Outbox, SequenceEvents
from glm3edge.engine.scheduler import Scheduler, Work
from glm3edge.engine.sequence import EngineSequence
from glm3edge.engine.speculation import Speculator
from glm3edge.engine.stats import Stats
from glm3edge.errors import (
    DecodeAbortedError,
    EngineError,
    EngineLostError,
    Glm3EdgeError,
    TimeoutExceededError,
)

logger = logging.getLogger(__name__)

_MIN_HEADROOM = 64
"""Cells that must be available besides those of a sequence to admit it beside others."""

_MIN_SHARED_TOKENS = 32
"""Length of the common prefix for which a prompt waits until another has computed it."""


class EngineCore:
    """Runs sequences on a backend, a batch a step, on the thread that calls it.

    Attributes:
        max_running: sequences that share a batch.
        kv_cache: slots of the backend.
        scheduler: the running and the waiting sequences.
        stats: counters.
        timeout: seconds from its arrival after which a sequence ends with an error.
        any_cancelled: whether a sequence has been cancelled since the last step.
        computing: the batch that is being decoded.
        num_failures: batches in a row that have failed.
        mean_run_seconds: how long a sequence keeps its slot, as a running mean.
    """

    def __init__(
        self,
        backend: Backend[Any],
        outbox: Outbox,
        batch_timing: BatchTiming,
        *,
        max_running: int,
        disk: DiskCache | None = None,
        timeout: float = math.inf,
        use_drafts: bool = True,
        deterministic: bool = False,
    ) -> None:
        """Create a core without sequences; arguments as for ``Engine``."""
        self.max_running = 1 if deterministic else max_running
        self.stats = Stats()
        self.timeout = timeout
        self.kv_cache = KVCache(
            backend,
            num_slots=1 if deterministic else num_slots(max_running),
            disk=disk,
            block_size=backend.batch_size if deterministic else 1,
        )
        self.scheduler = Scheduler(
            max_running=self.max_running, batch_size=backend.batch_size, batch_timing=batch_timing
        )
        self.any_cancelled = False
        self.computing: list[Work] = []
        self.num_failures = 0
        self.mean_run_seconds = 1.0
        self._backend = backend
        self._outbox = outbox
        self._batch_timing = batch_timing
        self._speculator = Speculator(batch_timing) if use_drafts and not deterministic else None
        self._deterministic = deterministic
        self._adapter = 0  # of the last batch

    @property
    def sequences(self) -> list[EngineSequence]:
        """All sequences, the running ones first."""
        return [*self.scheduler.running, *self.scheduler.waiting]

    def step(self) -> None:
        """Run the next batch, if there is one.

        Raises:
            EngineLostError: the backend is lost.
        """
        self.reap()
        self._admit()
        batch = self._plan()
        if not batch:
            return
        try:
            indices = self._decode(batch)
        except DecodeAbortedError:
            self._roll_back(batch)
        except Exception as exc:
            self.num_failures += 1
            self._fail([work.sequence for work in batch], exc)
        else:
            self.num_failures = 0
            self._advance(batch, indices)

    def end(
        self,
        sequences: Iterable[EngineSequence],
        reason: FinishReason,
        error: Exception | None = None,
    ) -> None:
        """End sequences from outside, and emit their endings."""
        events: SequenceEvents = []
        for sequence in list(sequences):
            self._retire(sequence, keep=error is None)
            ending = sequence.end(reason, error)
            self.stats.count(ending, num_prompt_tokens=sequence.num_prompt_tokens)
            events.append((sequence, ending))
        self._outbox.add(events)

    def reset(self, error: EngineLostError) -> None:
        """End the sequences that have run, whose samplers are lost with the backend, and clear
        the KV cache."""
        self.computing = []
        self._adapter = self.num_failures = 0
        self.end([s for s in self.sequences if s.has_run], FinishReason.ERROR, error)
        self.kv_cache.clear()

    def reap(self) -> None:
        """End the sequences that were cancelled, and those that have taken too long."""
        if self.any_cancelled:
            self.any_cancelled = False
            self.end([s for s in self.sequences if s.cancelled], FinishReason.CANCELLED)
        if self.timeout < math.inf:
            now = time.monotonic()
            late = [s for s in self.sequences if now >= s.deadline]
            self.end(late, FinishReason.ERROR, TimeoutExceededError(self.timeout))

    def _admit(self) -> None:
        """Start the waiting sequences that a slot and enough cells are available for, in order."""
        scheduler = self.scheduler
        for sequence in list(scheduler.waiting):
            if scheduler.is_full and self._victim_for(sequence) is None:
                return
            if self._shares_a_running_prompt(sequence):
                continue
            while not self._can_start(sequence):
                if (victim := self._victim_for(sequence)) is None:
                    return
                self._preempt(victim)
            self._start(sequence)

    def _victim_for(self, sequence: EngineSequence) -> EngineSequence | None:
        """The running sequence to preempt for this one. None in deterministic mode: a preempted
        reply would be recomputed in other batches."""
        return None if self._deterministic else self.scheduler.victim(below=sequence)

    def _can_start(self, sequence: EngineSequence) -> bool:
        if not self.scheduler.running:
            return True
        if self.scheduler.is_full:
            return False
        num_cells = self.kv_cache.num_new_cells(sequence.token_ids, sequence.adapter)
        return num_cells + _MIN_HEADROOM <= self.kv_cache.num_available

    def _shares_a_running_prompt(self, sequence: EngineSequence) -> bool:
        """Whether a running sequence is about to compute much of the same prompt."""
        adapter = sequence.adapter
        running = [s for s in self.scheduler.running if s.num_pending > 1 and s.adapter == adapter]
        if sequence.needs_hidden_states or not running:
            return False
        ids = np.asarray(sequence.token_ids)
        num_cached = self.kv_cache.match_prefix(sequence.token_ids, adapter).length
        min_shared = max(num_cached + 1, _MIN_SHARED_TOKENS)
        return any(
            common_prefix_length(ids, np.asarray(other.token_ids)) >= min_shared
            for other in running
            if not other.needs_hidden_states and other.priority <= sequence.priority
        )

    def _start(self, sequence: EngineSequence) -> None:
        self.scheduler.run(sequence)
        sequence.started_at = time.monotonic()
        try:
            slot, length = self.kv_cache.allocate(
                sequence.token_ids,
                adapter=sequence.adapter,
                reuse=not sequence.needs_hidden_states,
            )
            sequence.start(self._backend, slot, length)
            events = sequence.start_events(self._backend.batch_size)
            self._outbox.add([(sequence, event) for event in events])
        except Exception as exc:
            self._fail([sequence], exc)

    def _preempt(self, sequence: EngineSequence) -> None:
        """Move a running sequence back to the queue; its tokens stay cached while cells last."""
        assert sequence.slot is not None  # noqa: S101 - for the type checker
        self.kv_cache.release(sequence.slot, keep=not sequence.needs_hidden_states)
        sequence.preempt()
        self.scheduler.preempt(sequence)

    def _plan(self) -> list[Work]:
        """The next batch with its drafts; preempts sequences where the KV cache is too small."""
        while not (batch := self.scheduler.plan(self.kv_cache.num_available)):
            if (victim := self.scheduler.victim()) is None:
                break
            self._preempt(victim)
        if self._speculator is not None:
            num_planned = sum(work.num_tokens for work in batch)
            budget = min(self.kv_cache.num_available, self._backend.batch_size) - num_planned
            self._speculator.draft(batch, budget=budget)
        return batch

    def _decode(self, batch: list[Work]) -> list[int]:
        """Compute a batch; returns the batch index of each sequence's last token before drafts."""
        spans = [_span(work) for work in batch]
        for span in spans:
            self.kv_cache.append(span.sequence_id, span.token_ids)
        first = batch[0].sequence
        is_same_adapter, self._adapter = self._adapter == first.adapter, first.adapter
        self.computing = batch
        num_tokens = sum(len(span.token_ids) for span in spans)
        self._outbox.flush_before(num_tokens)
        start = time.perf_counter()
        try:
            indices = self._backend.decode(
                spans, hidden_states=first.needs_hidden_states, adapter=first.adapter
            )
        finally:
            self.computing = []
        if is_same_adapter:  # the first batch after a change takes longer
            self._batch_timing.observe(num_tokens, time.perf_counter() - start)
        return [index - span.num_drafts for index, span in zip(indices, spans, strict=True)]

    def _roll_back(self, batch: list[Work]) -> None:
        """Drop the tokens of an aborted batch; its sequences go on from where they were."""
        for work in batch:
            self._trim(work.sequence)

    def _trim(self, sequence: EngineSequence) -> None:
        """Drop from the KV cache what is not computed text, such as rejected drafts."""
        slot = sequence.slot
        if slot is not None and self.kv_cache.length(slot) > sequence.num_computed:
            self.kv_cache.truncate(slot, sequence.num_computed)

    def _advance(self, batch: list[Work], indices: list[int]) -> None:
        """Sample the next tokens, retire the sequences that are done, and emit the events."""
        emitted: SequenceEvents = []
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
                    self.stats.count(events[-1], num_prompt_tokens=sequence.num_prompt_tokens)
                    self._retire(sequence)
        finally:  # also where the backend is lost half way
            self._outbox.add(emitted)

    def _fail(self, sequences: list[EngineSequence], exc: Exception) -> None:
        """End sequences with an error.

        Raises:
            EngineLostError: that is the error.
        """
        if isinstance(exc, EngineLostError):
            raise exc
        if isinstance(exc, MemoryError):
            exc = EngineError("there was not enough memory: send less, or fewer requests at once")
        if isinstance(exc, Glm3EdgeError):
            logger.error("%d request(s) failed: %s", len(sequences), exc)
        else:
            logger.error("%d request(s) failed", len(sequences), exc_info=exc)
            exc = EngineError(f"internal error: {exc!r}")
        self.end(sequences, FinishReason.ERROR, exc)

    def _retire(self, sequence: EngineSequence, *, keep: bool = True) -> None:
        """Free the slot and the sampler of a sequence; its tokens stay cached if ``keep``."""
        self.scheduler.remove(sequence)
        if sequence.slot is not None:
            if self._deterministic:
                self._trim_to_whole_batches(sequence)
            self.kv_cache.release(sequence.slot, keep=keep and not sequence.needs_hidden_states)
            seconds = time.monotonic() - sequence.started_at
            self.mean_run_seconds += 0.2 * (seconds - self.mean_run_seconds)
        sequence.release()

    def _trim_to_whole_batches(self, sequence: EngineSequence) -> None:
        """Keep only what the same prompt would compute again in the same batches."""
        size = self._backend.batch_size
        num_whole = sequence.num_prompt_tokens // size * size
        sequence.num_computed = min(sequence.num_computed, num_whole)
        self._trim(sequence)


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
