"""What a reply comes in, whoever makes it: pieces of text, pieces of calls, and an ending."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError


@dataclass(frozen=True, slots=True)
class TextPiece:
    """More of the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A call, or more of its arguments. Only the first piece of a call has its name."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Why the reply ended: OpenAI's finish reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens that a reply took; ``cached`` of the prompt were in memory already."""

    prompt: int
    cached: int
    completion: int


ReplyEvent = TextPiece | CallPiece | Ended | Used


class Source(Protocol):
    """Who replies: a model in this process, or a server.

    Attributes:
        model: the name that replies are asked of.
    """

    model: str

    @property
    def models(self) -> Sequence[str]:
        """Names that can be asked for; empty if they are not told."""

    @property
    def context_length(self) -> int | None:
        """Tokens that prompt and reply may have together; None if it is not told."""

    def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[ReplyEvent, None]:
        """The reply to ``body``, OpenAI's ``messages``, ``tools`` and sampling options.

        Raises:
            Glm3EdgeError: there is no reply, or no more of it.
        """

    async def count_prompt(self, body: Mapping[str, Any]) -> int | None:
        """Tokens of the prompt that ``body`` becomes; None if it cannot be told.

        Raises:
            Glm3EdgeError: a message has no meaning where it stands, or nobody answers.
        """

    async def count_text(self, text: str) -> int | None:
        """Tokens of a text by itself; None if it cannot be told."""

    async def aclose(self) -> None:
        """Let go of what was opened. Idempotent."""


def read_chunk(chunk: Mapping[str, Any]) -> Iterator[ReplyEvent]:
    """The events of a ``chat.completion.chunk``, of which only the first choice is read."""
    for choice in (chunk.get("choices") or [])[:1]:
        delta = choice.get("delta") or {}
        if text := delta.get("content"):
            yield TextPiece(str(text))
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            yield CallPiece(
                int(call.get("index") or 0),
                call.get("id"),
                function.get("name"),
                function.get("arguments") or "",
            )
        if reason := choice.get("finish_reason"):
            yield Ended(str(reason))
    if usage := chunk.get("usage"):
        details = usage.get("prompt_tokens_details") or {}
        yield Used(
            prompt=int(usage.get("prompt_tokens") or 0),
            cached=int(details.get("cached_tokens") or 0),
            completion=int(usage.get("completion_tokens") or 0),
        )


def first_fault(exc: ValidationError) -> str:
    """The first thing that is wrong, and where: ``messages[1].role: Input should be ...``."""
    first = exc.errors(include_url=False, include_input=False)[0]
    where = ""
    for part in first["loc"]:
        if isinstance(part, int):
            where += f"[{part}]"
        elif not part.startswith("<"):  # a tag that names the branch of a union
            where += f".{part}" if where else part
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
