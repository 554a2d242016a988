"""Sequences: the requests in the engine, and their state.

    waiting ──> running ──> ended
       │  <──────┘             │   (preempted: it goes on later)
       └───────────────────────┘   (cancelled, or the engine closed)

A sequence is running while it has a slot of the KV cache.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

from glm3edge.core import (
    FinishedEvent,
    FinishReason,
    GenerationFinished,
    Priority,
    ProgressEvent,
)
from glm3edge.engine.backend import Backend, SamplerHandle
from glm3edge.engine.prompt_lookup import Acceptance, PromptLookup
from glm3edge.engine.reply import Reply
from glm3edge.engine.request import Constraint, GenerationRequest, Sink


class EngineSequence(ABC):
    """A request in the engine: its tokens, how many of them are computed, and its sink.

    Attributes:
        token_ids: tokens of prompt and reply.
        num_computed: how many of them are in the KV cache.
        draft_ids: drafts of the tokens after ``token_ids``, in the next batch.
        acceptance: acceptance rate of the drafts.
        slot: slot of the KV cache; None while waiting.
        arrival: order of arrival, set by the scheduler.
        deadline: when it times out, in monotonic seconds, set by the engine.
        started_at: when it last got a slot, in monotonic seconds, set by the engine.
        has_emitted: whether an event other than progress was emitted, set by the outbox.
        needs_hidden_states: whether its batches must compute hidden states.
    """

    needs_hidden_states = False

    def __init__(
        self,
        prompt_ids: Sequence[int],
        sink: Sink,
        *,
        priority: Priority = Priority.INTERACTIVE,
        adapter: int = 0,
    ) -> None:
        if not prompt_ids:
            raise ValueError("a sequence needs at least one token")
        self.token_ids = list(prompt_ids)
        self.num_prompt_tokens = len(prompt_ids)
        self.num_computed = 0
        self.draft_ids: list[int] = []
        self.acceptance = Acceptance()
        self.slot: int | None = None
        self.priority = priority
        self.adapter = adapter
        self.arrival = 0
        self.deadline = math.inf
        self.started_at = 0.0
        self.has_emitted = False
        self.cancelled = False
        self.is_done = False
        self.sink = sink

    @property
    def num_pending(self) -> int:
        """Number of tokens that are not yet in the KV cache."""
        return len(self.token_ids) - self.num_computed

    @property
    def num_remaining(self) -> int:
        """Number of tokens that may still be sampled."""
        return 0

    def draft(self, limit: int) -> list[int]:
        """Drafts of the next tokens, up to ``limit``."""
        return []

    @property
    def has_run(self) -> bool:
        """Whether it has had a slot, and may have a sampler with the state of its reply."""
        return self.started_at > 0

    def start(self, backend: Backend[Any], slot: int, num_computed: int) -> None:
        """Begin to run in a slot whose first ``num_computed`` tokens are cached."""
        self.slot = slot
        self.num_computed = num_computed

    def start_events(self, batch_size: int) -> list[Any]:
        """Events before the first batch, which has ``batch_size`` tokens at most."""
        return []

    def preempt(self) -> None:
        """Give up the slot; the sequence starts again later with all tokens it has."""
        self.slot = None
        self.num_computed = 0
        self.draft_ids = []

    def release(self) -> None:
        """Free the resources that ``start()`` took."""
        self.slot = None

    @abstractmethod
    def advance(self, backend: Backend[Any], *, num_tokens: int, index: int) -> list[Any]:
        """Process a decoded batch.

        Args:
            backend: backend that decoded it.
            num_tokens: how many of this sequence's tokens were in it, ``draft_ids`` not counted.
            index: batch position of the last of them; ``draft_ids`` follow it.

        Returns:
            The new events. If the last is the ending, ``is_done`` is set.
        """

    @abstractmethod
    def end(self, reason: FinishReason, error: Exception | None = None) -> FinishedEvent:
        """The ending of a sequence that is cancelled or fails."""


class Generation(EngineSequence):
    """Sequence that samples a reply."""

    def __init__(
        self, request: GenerationRequest, sink: Sink, constraint: Constraint | None = None
    ) -> None:
        """``constraint`` is that of ``request.grammar``."""
        super().__init__(
            request.prompt_ids, sink, priority=request.priority, adapter=request.adapter
        )
        self.request = request
        self._reply = Reply(request)
        self._lookup = PromptLookup()
        self._constraint = constraint
        self._sampler: SamplerHandle | None = None

    @property
    def num_completion_tokens(self) -> int:
        """Tokens sampled so far."""
        return self._reply.num_tokens

    @property
    def num_remaining(self) -> int:
        return self._reply.num_remaining

    def draft(self, limit: int) -> list[int]:
        # The number of drafts depends on measured times, and a batch's arithmetic on its size: a
        # request with a seed wants the same text again.
        if self.request.sampling.seed is not None:
            return []
        return self._lookup.draft(self.token_ids, limit)

    def start(self, backend: Backend[Any], slot: int, num_computed: int) -> None:
        super().start(backend, slot, num_computed)
        if self._sampler is None:
            self._reply.num_cached_tokens = num_computed
            self._reply.begin(backend.context_size)
            self._sampler = backend.new_sampler(self.request.sampling, self.request.prompt_ids)

    def start_events(self, batch_size: int) -> list[Any]:
        is_long = self.num_pending > batch_size and not self.num_completion_tokens
        return [self._progress()] if self.request.wants_progress and is_long else []

    def release(self) -> None:
        super().release()
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None

    def advance(self, backend: Backend[Any], *, num_tokens: int, index: int) -> list[Any]:
        self.num_computed += num_tokens
        if self.num_pending:
            return [self._progress()] if self.request.wants_progress else []
        drafts, self.draft_ids = self.draft_ids, []
        self._reply.num_rejected_drafts += len(drafts)
        events = self._next_events(backend, index)
        num_accepted = 0
        for draft_id in drafts:
            if self.is_done or self.token_ids[-1] != draft_id:
                break
            num_accepted += 1
            self.num_computed += 1
            self._reply.num_accepted_drafts += 1
            self._reply.num_rejected_drafts -= 1
            events += self._next_events(backend, index + num_accepted)
        self.acceptance.observe(num_accepted=num_accepted, num_drafts=len(drafts))
        return events

    def _progress(self) -> ProgressEvent:
        return ProgressEvent(
            num_tokens=self.num_prompt_tokens,
            num_cached=self._reply.num_cached_tokens,
            num_processed=min(self.num_computed, self.num_prompt_tokens),
            seconds=self._reply.seconds,
        )

    def _next_events(self, backend: Backend[Any], index: int) -> list[Any]:
        """Sample a token; returns its events."""
        token_id = self._sample(backend, index)
        self.token_ids.append(token_id)
        num_top = self.request.num_logprobs
        logprobs = None if num_top is None else partial(backend.logprobs, index, token_id, num_top)
        events = self._reply.add(token_id, backend.piece, logprobs)
        self.is_done = self._reply.has_ended
        return events

    def _sample(self, backend: Backend[Any], index: int) -> int:
        constraint = self._constraint
        if constraint is None:
            return backend.sample(self._sampler, index)
        token_id = backend.sample(self._sampler, index, constraint.allowed())
        if token_id not in self.request.stop_token_ids:
            constraint.accept(token_id)
        return token_id

    def end(self, reason: FinishReason, error: Exception | None = None) -> GenerationFinished:
        return self._reply.end(reason, error=error)
