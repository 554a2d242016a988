"""Reply: what the events of a reply have led to, and how long they took."""

import time
import uuid
from dataclasses import dataclass, field

from glm3edge.commands.chat.conversation import Call
from glm3edge.commands.chat.sources.base import CallPiece, Ended, ReplyEvent, TextPiece, Used


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
