"""Reply being received, and statistics of replies."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from glm3edge.commands.chat.conversation import Call
from glm3edge.commands.chat.sources.base import CallDelta, Finished, ReplyEvent, TextDelta, Usage
from glm3edge.commands.chat.terminal.translations import Texts


@dataclass(slots=True)
class Reply:
    """Reply assembled from its events. Times are monotonic seconds.

    Attributes:
        num_prompt_tokens: counted before the request is sent, until the usage arrives.
        finish_reason: OpenAI's, or ``stopped`` if the user has stopped it.
    """

    num_prompt_tokens: int | None = None
    num_cached_tokens: int | None = None
    num_tokens: int | None = None
    finish_reason: str = ""
    started_at: float = field(default_factory=time.monotonic)
    first_delta_at: float | None = None
    ended_at: float | None = None
    _texts: list[str] = field(default_factory=list)
    _calls: list[tuple[str, str, list[str]]] = field(default_factory=list)

    def feed(self, event: ReplyEvent) -> None:
        """Add an event."""
        now = time.monotonic()
        match event:
            case TextDelta(text):
                self._texts.append(text)
                self.first_delta_at = self.first_delta_at or now
            case CallDelta():
                self._feed_call(event)
                self.first_delta_at = self.first_delta_at or now
            case Finished(reason):
                self.finish_reason = reason
                self.ended_at = now
            case Usage(prompt, cached, completion):
                self.num_prompt_tokens, self.num_cached_tokens = prompt, cached
                self.num_tokens = completion

    def _feed_call(self, delta: CallDelta) -> None:
        if delta.name is not None:
            call_id = delta.id or f"call_{uuid.uuid4().hex[:24]}"
            self._calls.append((call_id, delta.name, []))
        if self._calls:
            self._calls[-1][2].append(delta.arguments)

    def stop(self) -> None:
        """Finish a reply that the user has stopped; its calls are incomplete and dropped."""
        self.finish_reason = "stopped"
        self.ended_at = time.monotonic()
        self._calls.clear()

    @property
    def text(self) -> str:
        """Text so far."""
        return "".join(self._texts)

    @property
    def calls(self) -> list[Call]:
        """Calls so far; they are complete once the finish reason is ``tool_calls``."""
        return [Call(id, name, "".join(arguments)) for id, name, arguments in self._calls]  # noqa: A001

    @property
    def seconds_to_first(self) -> float | None:
        """Seconds from sending to the first delta."""
        return None if self.first_delta_at is None else self.first_delta_at - self.started_at

    @property
    def tokens_per_second(self) -> float | None:
        """Decoding speed, without the time to the first token."""
        if self.num_tokens is None or self.first_delta_at is None or self.ended_at is None:
            return None
        seconds = self.ended_at - self.first_delta_at
        return (self.num_tokens - 1) / seconds if seconds > 0 and self.num_tokens > 1 else None


@dataclass(slots=True)
class Stats:
    """Statistics of the last reply, and of all since the program started."""

    last: Reply | None = None
    num_replies: int = 0
    num_prompt_tokens: int = 0
    num_tokens: int = 0

    def add(self, reply: Reply) -> None:
        """Add a reply."""
        self.last = reply
        self.num_replies += 1
        self.num_prompt_tokens += reply.num_prompt_tokens or 0
        self.num_tokens += reply.num_tokens or 0

    def lines(self, texts: Texts, context_length: int | None) -> Iterator[str]:
        """Lines of ``/stats``, without what is not known."""
        last = self.last
        if last is None:
            yield texts("nothing_yet")
            return
        if last.num_prompt_tokens is not None:
            count, cached = last.num_prompt_tokens, last.num_cached_tokens
            key = "stats_prompt_only" if cached is None else "stats_prompt"
            yield texts(key, count=count, cached=cached)
        if last.num_tokens is not None:
            yield texts("stats_reply", count=last.num_tokens)
        speed, first = last.tokens_per_second, last.seconds_to_first
        if speed is not None and first is not None:
            yield texts("stats_speed", speed=speed, first=first)
        elif first is not None:
            yield texts("stats_first", first=first)
        if last.num_prompt_tokens is not None and context_length:
            used = last.num_prompt_tokens + (last.num_tokens or 0)
            percent = round(100 * used / context_length)
            yield texts("stats_context", used=used, size=context_length, percent=percent)
        yield texts(
            "stats_total",
            count=self.num_replies,
            prompt=self.num_prompt_tokens,
            completion=self.num_tokens,
        )
