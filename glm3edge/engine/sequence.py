"""Sequences: the requests in the engine, and their state.

    waiting ──> running ──> ended
       │  <──────┘             │   (preempted: it goes on later)
       └───────────────────────┘   (cancelled, or the engine closed)

A sequence is running while it has a slot of the KV cache.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from glm3edge.core import (
    FinishedEvent,
    FinishReason,
    GenerationFinished,
    Mask,
    Priority,
    ProgressEvent,
    SamplingParams,
    TokenEvent,
)
from glm3edge.engine.backend import Backend, SamplerHandle
from glm3edge.engine.prompt_lookup import Acceptance, PromptLookup
from glm3edge.engine.text_stream import Detokenizer, TextReader

Sink = Callable[[Any], None]
"""Receives the events of a sequence, one after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """Prompt, limits and sampling parameters of a generation.

    Attributes:
        prompt_ids: the prompt, at least one token.
        max_new_tokens: tokens after which the reply ends with LENGTH, hidden ones not counted;
            prompt and these must fit the context.
        max_hidden_tokens: how many tokens of white space at the start of the reply do not count,
            because the client does not see them.
        sampling: sampling parameters.
        stop_token_ids: tokens that end the reply and are not part of it.
        stop_strings: text that ends the reply and is not part of it.
        make_reader: creates the reader that finds ``stop_strings``. Without any the events of the
            reply are its tokens.
        num_logprobs: most probable tokens to report with each token; None for no probabilities
            at all.
        priority: background requests wait for interactive ones.
        adapter: number of the adapter to compute with; 0 is the model alone.
        grammar: grammar of the reply, if it has to follow one, in llguidance's dialect of Lark.
        begun_ids: the reply's first tokens, if the prompt has them: the grammar counts them.
        wants_progress: emit ProgressEvents while the prefill takes several batches.
    """

    prompt_ids: Sequence[int]
    max_new_tokens: int
    max_hidden_tokens: int = 0
    sampling: SamplingParams = field(default_factory=SamplingParams)
    stop_token_ids: frozenset[int] = frozenset()
    stop_strings: tuple[str, ...] = ()
    make_reader: "Callable[[tuple[str, ...]], Reader]" = TextReader
    num_logprobs: int | None = None
    priority: Priority = Priority.INTERACTIVE
    adapter: int = 0
    grammar: str | None = None
    begun_ids: tuple[int, ...] = ()
    wants_progress: bool = False


class Constraint(Protocol):
    """Constrained decoding: the tokens that may come next. ``glm3edge.llama.guidance.Matcher``."""

    def allowed(self) -> Mask | None: ...

    def accept(self, token_id: int) -> None: ...


class GrammarCompiler(Protocol):
    """Makes constraints of grammars. ``glm3edge.llama.guidance.Guide``; see there."""

    def matcher(self, grammar: str, begun_ids: tuple[int, ...] = ()) -> Constraint: ...


class Reader(Protocol):
    """Finds stop strings in the text that the client sees of a reply, on the engine's thread.

    ``TextReader`` does so for plain text, ``glm3edge.serving.chat.parts`` for ChatGLM3's replies.

    Attributes:
        stop_string: the stop string that ended the reply, if one did.
    """

    stop_string: str | None

    def feed(self, event: TokenEvent) -> list[Any]:
        """Events of a token and the text that it completes."""

    def finish(self, end: GenerationFinished) -> list[Any]:
        """The last events; the very last is the ending."""


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
        self._num_cached = 0
        self._began_at = 0.0  # seconds of perf_counter()
        self._first_token_at = 0.0
        self._num_accepted_drafts = 0
        self._num_rejected_drafts = 0
        self._lookup = PromptLookup()
        self._constraint = constraint
        self._sampler: SamplerHandle | None = None
        self._detokenizer = Detokenizer()
        stops = request.stop_strings
        self._reader = request.make_reader(stops) if stops else None
        self._num_hidden_tokens = 0
        self._has_visible_text = not request.max_hidden_tokens
        self._max_completion_tokens: int | None = None  # that fit the context

    @property
    def num_completion_tokens(self) -> int:
        """Tokens sampled so far."""
        return len(self.token_ids) - self.num_prompt_tokens

    @property
    def num_remaining(self) -> int:
        limit = self.request.max_new_tokens
        if self._num_hidden_tokens and self._max_completion_tokens is not None:
            limit = min(limit + self._num_hidden_tokens, self._max_completion_tokens)
        return limit - self.num_completion_tokens

    def draft(self, limit: int) -> list[int]:
        # The number of drafts depends on measured times, and a batch's arithmetic on its size: a
        # request with a seed wants the same text again.
        if self.request.sampling.seed is not None:
            return []
        return self._lookup.draft(self.token_ids, limit)

    def start(self, backend: Backend[Any], slot: int, num_computed: int) -> None:
        super().start(backend, slot, num_computed)
        if self._sampler is None:
            self._num_cached = num_computed
            self._began_at = time.perf_counter()
            self._max_completion_tokens = backend.context_size - self.num_prompt_tokens
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
        self._num_rejected_drafts += len(drafts)
        events = self._next_events(backend, index)
        num_accepted = 0
        for draft_id in drafts:
            if self.is_done or self.token_ids[-1] != draft_id:
                break
            num_accepted += 1
            self.num_computed += 1
            self._num_accepted_drafts += 1
            self._num_rejected_drafts -= 1
            events += self._next_events(backend, index + num_accepted)
        self.acceptance.observe(num_accepted=num_accepted, num_drafts=len(drafts))
        return events

    def _progress(self) -> ProgressEvent:
        return ProgressEvent(
            num_tokens=self.num_prompt_tokens,
            num_cached=self._num_cached,
            num_processed=min(self.num_computed, self.num_prompt_tokens),
            seconds=time.perf_counter() - self._began_at,
        )

    def _next_events(self, backend: Backend[Any], index: int) -> list[Any]:
        """Sample a token; returns its events."""
        token_id = self._sample(backend, index)
        if not self.num_completion_tokens:
            self._first_token_at = time.perf_counter()
        self.token_ids.append(token_id)
        if token_id in self.request.stop_token_ids:
            return self._finish(FinishReason.STOP, stop_token_id=token_id)
        piece = backend.piece(token_id)
        # No character reaches across a control token, whose piece is empty.
        text = self._detokenizer.feed(piece) if piece else self._detokenizer.finish()
        num_logprobs = self.request.num_logprobs
        logprobs = None if num_logprobs is None else backend.logprobs(index, token_id, num_logprobs)
        if not self._has_visible_text:
            self._count_hidden(text)
        event = TokenEvent(token_id, text, logprobs)
        events = [event] if self._reader is None else self._reader.feed(event)
        if self._reader is not None and self._reader.stop_string is not None:
            events += self._finish(FinishReason.STOP)
        elif self.num_remaining <= 0:
            events += self._finish(FinishReason.LENGTH)
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
        return self._ending(reason, error=error)

    def _finish(self, reason: FinishReason, stop_token_id: int | None = None) -> list[Any]:
        self.is_done = True
        is_cut = reason is FinishReason.LENGTH  # perhaps within a character
        text = "" if is_cut else self._detokenizer.finish()
        end = self._ending(reason, text=text, stop_token_id=stop_token_id)
        return [end] if self._reader is None else self._reader.finish(end)

    def _count_hidden(self, text: str) -> None:
        if text.isspace() and self._num_hidden_tokens < self.request.max_hidden_tokens:
            self._num_hidden_tokens += 1
        else:
            self._has_visible_text = True

    def _ending(self, reason: FinishReason, **fields: Any) -> GenerationFinished:
        now = time.perf_counter()
        first_token_at = self._first_token_at or now
        return GenerationFinished(
            reason,
            num_completion_tokens=self.num_completion_tokens,
            num_cached_tokens=self._num_cached,
            num_accepted_drafts=self._num_accepted_drafts,
            num_rejected_drafts=self._num_rejected_drafts,
            prefill_seconds=first_token_at - (self._began_at or first_token_at),
            decode_seconds=now - first_token_at,
            **fields,
        )
