"""Replies of the services, translated to replies and lines of streams of Ollama's API."""

import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from glm3edge.schema.base import Usage
from glm3edge.schema.chat import ChatChunk, FinishReasonName, TokenLogprob, ToolCallChunk
from glm3edge.schema.completions import CompletionReply
from glm3edge.schema.embeddings import EmbeddingsReply
from glm3edge.schema.ollama import (
    EmbedReply,
    GenerateReply,
    OllamaChatReply,
    OllamaReplyCall,
    OllamaReplyMessage,
    ReplyCallFunction,
)
from glm3edge.serving.arguments import parsed_arguments
from glm3edge.serving.ollama.names import tagged
from glm3edge.serving.streams import closing_on_exit


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """More of a reply.

    Attributes:
        text: of the content.
        calls: whole calls.
        logprobs: log probabilities of the content's tokens; None if they were not asked for.
        end: fields of the last line, which has nothing else.
    """

    text: str = ""
    calls: tuple[OllamaReplyCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] | None = None
    end: Mapping[str, Any] | None = None


async def reply_parts(
    chunks: AsyncGenerator[ChatChunk, None] | AsyncGenerator[CompletionReply, None], *, start: int
) -> AsyncGenerator[Part, None]:
    """Parts of a reply of the chat service, or of the one for texts; it must have usage.

    ``start`` is when the request came, in nanoseconds of ``perf_counter_ns()``. The request is
    ready to run when the first part is asked for.
    """
    reader = _ChunkReader(start)
    async with closing_on_exit(chunks):
        async for chunk in chunks:
            for part in reader.feed(chunk):
                yield part


async def joined(parts: AsyncGenerator[Part, None]) -> Part:
    """All ``parts`` as one."""
    async with closing_on_exit(parts):
        made = [part async for part in parts]
    logprobs = [part.logprobs for part in made if part.logprobs is not None]
    return Part(
        text="".join(part.text for part in made),
        calls=tuple(call for part in made for call in part.calls),
        logprobs=tuple(item for items in logprobs for item in items) if logprobs else None,
        end=made[-1].end,
    )


def chat_line(part: Part, *, model: str) -> OllamaChatReply:
    """Chat reply with ``part``, or a line of a stream."""
    message = OllamaReplyMessage(content=part.text, tool_calls=list(part.calls) or None)
    return OllamaChatReply(**_fields(part, model), message=message)


class GenerateWriter:
    """Writer of a reply to a prompt, whole or in lines."""

    def __init__(self, model: str, context_of: Callable[[str], list[int]] | None = None) -> None:
        """Create a writer.

        Args:
            model: name of the model.
            context_of: token ids of the conversation with the reply, given its text; None if
                the reply is no part of a conversation.
        """
        self._model = model
        self._context_of = context_of
        self._text = ""

    def line(self, part: Part) -> GenerateReply:
        """Reply with ``part``, or the next line of a stream."""
        self._text += part.text
        is_last = part.end is not None
        context = self._context_of(self._text) if is_last and self._context_of else None
        return GenerateReply(**_fields(part, self._model), response=part.text, context=context)


def embed_reply(model: str, made: EmbeddingsReply | None, *, start: int, ready: int) -> EmbedReply:
    """Translate vectors; None is the reply to a request without texts.

    Times are in nanoseconds of ``perf_counter_ns()``: when the request came, and was ready to run.
    """
    vectors = [] if made is None else [item.embedding for item in made.data]
    return EmbedReply(
        model=tagged(model),
        embeddings=[vector for vector in vectors if not isinstance(vector, str)],
        total_duration=time.perf_counter_ns() - start,
        load_duration=ready - start,
        prompt_eval_count=0 if made is None else made.usage.prompt_tokens,
    )


def load_part(reason: Literal["load", "unload"]) -> Part:
    """The only part of the reply to a request to load or unload the model."""
    return Part(end={"done_reason": reason})


def _fields(part: Part, model: str) -> dict[str, Any]:
    return {
        "model": tagged(model),
        "created_at": datetime.now(timezone.utc),
        "done": part.end is not None,
        "logprobs": None if part.logprobs is None else list(part.logprobs),
        **(part.end or {}),
    }


class _ChunkReader:
    """Reader of a reply's chunks: ``feed()`` all; the last has the usage."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._ready = time.perf_counter_ns()
        self._reason: FinishReasonName = "stop"
        self._open_call: list[ToolCallChunk] = []
        self._num_calls = 0

    def feed(self, chunk: ChatChunk | CompletionReply) -> Iterator[Part]:
        """Parts that follow from ``chunk``."""
        yield from self._chat(chunk) if isinstance(chunk, ChatChunk) else self._texts(chunk)
        if chunk.usage is not None:
            yield Part(end=self._end(chunk.usage))

    def _chat(self, chunk: ChatChunk) -> Iterator[Part]:
        for choice in chunk.choices:
            delta = choice.delta
            for call in delta.tool_calls or ():
                if call.id is not None:
                    yield from self._close_call()
                self._open_call.append(call)
            if delta.content:
                logprobs = tuple(choice.logprobs.content) if choice.logprobs else None
                yield Part(text=delta.content, logprobs=logprobs)
            if choice.finish_reason is not None:
                yield from self._close_call()
                self._reason = choice.finish_reason

    def _texts(self, chunk: CompletionReply) -> Iterator[Part]:
        for choice in chunk.choices:
            if choice.text:
                yield Part(text=choice.text)
            if choice.finish_reason is not None:
                self._reason = choice.finish_reason

    def _close_call(self) -> Iterator[Part]:
        """The call that has come in pieces, as a whole."""
        if not self._open_call:
            return
        pieces, self._open_call = self._open_call, []
        yield Part(calls=(_whole_call(self._num_calls, pieces),))
        self._num_calls += 1

    def _end(self, usage: Usage) -> dict[str, Any]:
        return {
            "done_reason": "length" if self._reason == "length" else "stop",
            "total_duration": time.perf_counter_ns() - self._start,
            "load_duration": self._ready - self._start,
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": _nanoseconds(usage.prefill_seconds),
            "eval_count": usage.completion_tokens,
            "eval_duration": _nanoseconds(usage.decode_seconds),
        }


def _nanoseconds(seconds: float) -> int:
    return max(round(seconds * 1e9), 1)  # clients divide by it


def _whole_call(index: int, pieces: Sequence[ToolCallChunk]) -> OllamaReplyCall:
    arguments = parsed_arguments("".join(piece.function.arguments for piece in pieces))
    function = ReplyCallFunction(
        index=index, name=pieces[0].function.name or "", arguments=arguments
    )
    return OllamaReplyCall(id=pieces[0].id or "", function=function)
