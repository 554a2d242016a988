"""Stats: what the last reply took, and all of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from glm3edge.commands.chat.reply import Reply
from glm3edge.commands.chat.terminal.translations import Texts


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
