"""Interface of a source of replies, and the events that a reply is streamed as."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Delta of the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class CallDelta:
    """Delta of a tool call: more of its arguments. Only the first delta of a call has its name."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Finished:
    """End of the reply, with OpenAI's finish reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of prompt and completion; ``cached`` prompt tokens came from the KV cache."""

    prompt: int
    cached: int
    completion: int


ReplyEvent = TextDelta | CallDelta | Finished | Usage


class Source(Protocol):
    """Source of replies: a model in this process, or a server.

    Attributes:
        model: name of the model that replies.
    """

    model: str

    @property
    def models(self) -> Sequence[str]:
        """Names of the models to choose from; empty if unknown."""

    @property
    def context_length(self) -> int | None:
        """Maximum tokens of prompt and reply together; None if unknown."""

    def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[ReplyEvent, None]:
        """Stream the reply to ``body``: OpenAI's ``messages``, ``tools`` and sampling options.

        Raises:
            Glm3EdgeError: there is no reply, or it broke off.
        """

    async def count_prompt(self, body: Mapping[str, Any]) -> int | None:
        """Number of tokens of the prompt for ``body``; None if it cannot be counted.

        Raises:
            Glm3EdgeError: the messages are invalid, or the server does not answer.
        """

    async def count_text(self, text: str) -> int | None:
        """Number of tokens of a text by itself; None if it cannot be counted."""

    async def aclose(self) -> None:
        """Close the source. Idempotent."""


def read_chunk(chunk: Mapping[str, Any]) -> Iterator[ReplyEvent]:
    """Events of a ``chat.completion.chunk``; only its first choice is read."""
    for choice in (chunk.get("choices") or [])[:1]:
        delta = choice.get("delta") or {}
        if text := delta.get("content"):
            yield TextDelta(str(text))
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            yield CallDelta(
                int(call.get("index") or 0),
                call.get("id"),
                function.get("name"),
                function.get("arguments") or "",
            )
        if reason := choice.get("finish_reason"):
            yield Finished(str(reason))
    if usage := chunk.get("usage"):
        details = usage.get("prompt_tokens_details") or {}
        yield Usage(
            prompt=int(usage.get("prompt_tokens") or 0),
            cached=int(details.get("cached_tokens") or 0),
            completion=int(usage.get("completion_tokens") or 0),
        )


def first_error(exc: ValidationError) -> str:
    """First error of a validation, in a line: ``messages[1].role: Input should be ...``."""
    first = exc.errors(include_url=False, include_input=False)[0]
    where = ""
    for part in first["loc"]:
        if isinstance(part, int):
            where += f"[{part}]"
        elif not part.startswith("<"):  # a tag that names the branch of a union
            where += f".{part}" if where else part
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
