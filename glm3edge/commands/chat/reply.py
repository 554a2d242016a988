"""Reply: what the events of a reply have led to, and how long they took."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from glm3edge.commands.chat.conversation import Call
from glm3edge.commands.chat.sources.base import CallPiece, Ended, ReplyEvent, TextPiece, Used
from glm3edge.commands.chat.terminal.translations import Texts


@dataclass(slots=True)
class Reply:
    """A reply that is on its way. Times are monotonic seconds.

    Attributes:
        num_prompt_tokens: as counted before it was sent, until the usage says it.
        reason: OpenAI's finish reason, ``stopped`` if the user has stopped it.
    """

    num_prompt_tokens: int | None = None
    num_cached_tokens: int | None = None
    num_tokens: int | None = None
    reason: str = ""
    started: float = field(default_factory=time.monotonic)
    first: float | None = None
    ended: float | None = None
    _texts: list[str] = field(default_factory=list)
    _calls: list[tuple[str, str, list[str]]] = field(default_factory=list)

    def feed(self, event: ReplyEvent) -> None:
        """Take one more event."""
        now = time.monotonic()
        match event:
            case TextPiece(text):
                self._texts.append(text)
                self.first = self.first or now
            case CallPiece():
                self._feed_call(event)
                self.first = self.first or now
            case Ended(reason):
                self.reason = reason
                self.ended = now
            case Used(prompt, cached, completion):
                self.num_prompt_tokens, self.num_cached_tokens = prompt, cached
                self.num_tokens = completion

    def _feed_call(self, piece: CallPiece) -> None:
        if piece.name is not None:
            call_id = piece.id or f"call_{uuid.uuid4().hex[:24]}"
            self._calls.append((call_id, piece.name, []))
        if self._calls:
            self._calls[-1][2].append(piece.arguments)

    def stop(self) -> None:
        """The user has stopped it: calls are not whole, and count for nothing."""
        self.reason = "stopped"
        self.ended = time.monotonic()
        self._calls.clear()

    @property
    def text(self) -> str:
        """The prose so far."""
        return "".join(self._texts)

    @property
    def calls(self) -> list[Call]:
        """The calls so far; whole, once it has ended with ``tool_calls``."""
        return [Call(id, name, "".join(arguments)) for id, name, arguments in self._calls]  # noqa: A001

    @property
    def seconds_to_first(self) -> float | None:
        """From sending to the first piece, in seconds."""
        return None if self.first is None else self.first - self.started

    @property
    def tokens_per_second(self) -> float | None:
        """How fast it was written, the time before the first piece left out."""
        if self.num_tokens is None or self.first is None or self.ended is None:
            return None
        seconds = self.ended - self.first
        return (self.num_tokens - 1) / seconds if seconds > 0 and self.num_tokens > 1 else None


@dataclass(slots=True)
class Stats:
    """Tokens of replies, of the last and of all since the program began."""

    last: Reply | None = None
    num_replies: int = 0
    num_prompt_tokens: int = 0
    num_tokens: int = 0

    def add(self, reply: Reply) -> None:
        """Count a reply."""
        self.last = reply
        self.num_replies += 1
        self.num_prompt_tokens += reply.num_prompt_tokens or 0
        self.num_tokens += reply.num_tokens or 0

    def lines(self, texts: Texts, context_length: int | None) -> Iterator[str]:
        """What ``/stats`` shows; what is not known is left out."""
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
