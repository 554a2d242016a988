"""Sequence: one request's state in the engine.

    waiting ──> running ──> ended
       │  <──────┘             │   (suspended: it yields its place and goes on later)
       └───────────────────────┘   (cancelled, or the engine closed)

A sequence is running while it has a slot: an id in the context's key/value memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field
from typing import Any

from glm3edge.engine.backend import Backend, SamplerHandle
from glm3edge.engine.detokenizer import Detokenizer
from glm3edge.engine.stops import StopStrings
from glm3edge.types import (
    EndEvent,
    Ending,
    Event,
    FinishReason,
    Priority,
    SamplingParams,
    TokenEvent,
)

Sink = Callable[[Any], None]
"""Takes a sequence's events, one after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What to generate.

    Attributes:
        prompt_ids: the prompt, at least one token.
        max_new_tokens: tokens after which the reply ends with LENGTH; prompt and these must fit
            the context.
        sampling: how tokens are chosen.
        stop_token_ids: tokens that end the reply and are not part of it.
        stop_strings: text that ends the reply and is not part of it.
        priority: background requests wait for interactive ones.
    """

    prompt_ids: Seq[int]
    max_new_tokens: int
    sampling: SamplingParams = field(default_factory=SamplingParams)
    stop_token_ids: frozenset[int] = frozenset()
    stop_strings: tuple[str, ...] = ()
    priority: Priority = Priority.INTERACTIVE


class Sequence(ABC):
    """Tokens to compute, how far that has got, and where events go."""

    needs_hidden_states = False

    def __init__(
        self, prompt_ids: Seq[int], sink: Sink, *, priority: Priority = Priority.INTERACTIVE
    ) -> None:
        if not prompt_ids:
            raise ValueError("a sequence needs at least one token")
        self.token_ids = list(prompt_ids)
        self.num_computed = 0
        self.slot: int | None = None
        self.priority = priority
        self.number = 0  # the scheduler's: order of arrival
        self.started_at = 0.0  # the engine's: when it last took a slot, in monotonic seconds
        self.cancelled = False
        self.is_done = False
        self.sink = sink

    @property
    def num_pending(self) -> int:
        """Tokens not yet in the key/value memory."""
        return len(self.token_ids) - self.num_computed

    def start(self, backend: Backend[Any], slot: int, num_computed: int) -> None:
        """Take a slot that has the first ``num_computed`` tokens already."""
        self.slot = slot
        self.num_computed = num_computed

    def suspend(self) -> None:
        """Leave the slot, to start again later where the text stands."""
        self.slot = None
        self.num_computed = 0

    def release(self) -> None:
        """Give up what ``start()`` took."""
        self.slot = None

    @abstractmethod
    def advance(self, backend: Backend[Any], *, num_tokens: int, index: int) -> list[Any]:
        """Use a decoded batch.

        Args:
            backend: where it was decoded.
            num_tokens: how many of this sequence's tokens were in it.
            index: batch position of the last of them.

        Returns:
            The events that follow. With the ending among them ``is_done`` is set.
        """

    @abstractmethod
    def end(self, reason: FinishReason, error: Exception | None = None) -> Ending:
        """The event for an ending that comes from outside."""


class Generation(Sequence):
    """A reply in the making."""

    def __init__(self, request: GenerationRequest, sink: Sink) -> None:
        super().__init__(request.prompt_ids, sink, priority=request.priority)
        self.request = request
        self._num_cached = 0
        self._sampler: SamplerHandle | None = None
        self._detokenizer = Detokenizer()
        self._stops = StopStrings(request.stop_strings)

    @property
    def num_completion_tokens(self) -> int:
        """Tokens sampled so far."""
        return len(self.token_ids) - len(self.request.prompt_ids)

    def start(self, backend: Backend[Any], slot: int, num_computed: int) -> None:
        super().start(backend, slot, num_computed)
        if self._sampler is None:
            self._num_cached = num_computed
            self._sampler = backend.new_sampler(self.request.sampling, self.request.prompt_ids)

    def release(self) -> None:
        super().release()
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None

    def advance(self, backend: Backend[Any], *, num_tokens: int, index: int) -> list[Event]:
        self.num_computed += num_tokens
        if self.num_pending:
            return []
        token_id = backend.sample(self._sampler, index)
        self.token_ids.append(token_id)
        if token_id in self.request.stop_token_ids:
            return [self._finish(FinishReason.STOP, stop_token_id=token_id)]
        text, stopped = self._read(backend.piece(token_id))
        events: list[Event] = [TokenEvent(token_id, text)]
        if stopped:
            self.is_done = True
            events.append(self.end(FinishReason.STOP))
        elif self.num_completion_tokens >= self.request.max_new_tokens:
            events.append(self._finish(FinishReason.LENGTH))
        return events

    def end(self, reason: FinishReason, error: Exception | None = None) -> EndEvent:
        return EndEvent(
            reason,
            error,
            num_completion_tokens=self.num_completion_tokens,
            num_cached_tokens=self._num_cached,
        )

    def _read(self, piece: bytes) -> tuple[str, bool]:
        """Text that a token adds, and whether it completes a stop string."""
        if piece:
            return self._stops.feed(self._detokenizer.feed(piece))
        return self._flush()  # a control token: no stop string or character reaches across it

    def _flush(self) -> tuple[str, bool]:
        """Text that was held back, and whether it completes a stop string."""
        text, stopped = self._stops.feed(self._detokenizer.finish())
        return (text, True) if stopped else (text + self._stops.finish(), False)

    def _finish(self, reason: FinishReason, stop_token_id: int | None = None) -> EndEvent:
        self.is_done = True
        text, _ = self._flush()
        return EndEvent(
            reason,
            num_completion_tokens=self.num_completion_tokens,
            num_cached_tokens=self._num_cached,
            text=text,
            stop_token_id=stop_token_id,
        )
