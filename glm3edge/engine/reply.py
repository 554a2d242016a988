"""Reply: the events that a request's sampled tokens become, whatever computes them."""

import time
from collections.abc import Callable
from typing import Any

from glm3edge.core import FinishReason, GenerationFinished, TokenEvent, TokenLogprobs
from glm3edge.engine.request import GenerationRequest
from glm3edge.engine.text_stream import Detokenizer


class Reply:
    """Reader of one reply's tokens: text, stop tokens and strings, the token limit, the ending.

    Attributes:
        num_tokens: tokens sampled so far.
        num_cached_tokens: prompt tokens that were in the KV cache.
        num_accepted_drafts: sampled tokens that had been drafted.
        num_rejected_drafts: drafts that were rejected.
        has_ended: whether the ending is among the events.
    """

    def __init__(self, request: GenerationRequest) -> None:
        self._request = request
        self._detokenizer = Detokenizer()
        stops = request.stop_strings
        self._reader = request.make_reader(stops) if stops else None
        self._num_hidden_tokens = 0
        self._has_visible_text = not request.max_hidden_tokens
        self._max_tokens = request.max_new_tokens  # that fit the context, once it is known
        self._began_at = 0.0  # seconds of perf_counter()
        self._first_token_at = 0.0
        self.num_tokens = 0
        self.num_cached_tokens = 0
        self.num_accepted_drafts = 0
        self.num_rejected_drafts = 0
        self.has_ended = False

    @property
    def num_remaining(self) -> int:
        """Tokens that may still be sampled."""
        limit = self._request.max_new_tokens + self._num_hidden_tokens
        return min(limit, self._max_tokens) - self.num_tokens

    @property
    def seconds(self) -> float:
        """Time since the prefill began."""
        return time.perf_counter() - self._began_at

    def begin(self, context_size: int) -> None:
        """Begin with the prefill, in a context of that size."""
        self._began_at = time.perf_counter()
        self._max_tokens = context_size - len(self._request.prompt_ids)

    def add(
        self,
        token_id: int,
        piece: Callable[[int], bytes],
        logprobs: Callable[[], TokenLogprobs] | None = None,
    ) -> list[Any]:
        """Events of a sampled token, with the ending if it ends the reply."""
        if not self.num_tokens:
            self._first_token_at = time.perf_counter()
        self.num_tokens += 1
        if token_id in self._request.stop_token_ids:
            return self.finish(FinishReason.STOP, stop_token_id=token_id)
        data = piece(token_id)
        # No character reaches across a control token, whose piece is empty.
        text = self._detokenizer.feed(data) if data else self._detokenizer.finish()
        if not self._has_visible_text:
            self._count_hidden(text)
        event = TokenEvent(token_id, text, logprobs and logprobs())
        events = [event] if self._reader is None else self._reader.feed(event)
        if self._reader is not None and self._reader.stop_string is not None:
            events += self.finish(FinishReason.STOP)
        elif self.num_remaining <= 0:
            events += self.finish(FinishReason.LENGTH)
        return events

    def finish(self, reason: FinishReason, stop_token_id: int | None = None) -> list[Any]:
        """The last events of a reply that is complete, or as long as it may be."""
        self.has_ended = True
        is_cut = reason is FinishReason.LENGTH  # perhaps within a character
        text = "" if is_cut else self._detokenizer.finish()
        end = self.end(reason, text=text, stop_token_id=stop_token_id)
        return [end] if self._reader is None else self._reader.finish(end)

    def end(self, reason: FinishReason, **fields: Any) -> GenerationFinished:
        """The ending of a reply as it stands, without the text that is held back."""
        now = time.perf_counter()
        first_token_at = self._first_token_at or now
        return GenerationFinished(
            reason,
            num_completion_tokens=self.num_tokens,
            num_cached_tokens=self.num_cached_tokens,
            num_accepted_drafts=self.num_accepted_drafts,
            num_rejected_drafts=self.num_rejected_drafts,
            prefill_seconds=first_token_at - (self._began_at or first_token_at),
            decode_seconds=now - first_token_at,
            **fields,
        )

    def _count_hidden(self, text: str) -> None:
        if text.isspace() and self._num_hidden_tokens < self._request.max_hidden_tokens:
            self._num_hidden_tokens += 1
        else:
            self._has_visible_text = True
