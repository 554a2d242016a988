"""Chat replies and chunks, translated to messages and events of Anthropic's API."""

from collections.abc import AsyncGenerator, Iterator
from typing import Literal

from glm3edge.schema import chat
from glm3edge.schema.base import EventModel, Usage
from glm3edge.schema.chat import ChatChunk, ChatReply
from glm3edge.schema.message_events import (
    BlockDeltaEvent,
    BlockStartEvent,
    BlockStopEvent,
    InputJsonDelta,
    MessageDeltaEvent,
    MessageStartEvent,
    MessageStopEvent,
    PingEvent,
    Stop,
    TextDelta,
)
from glm3edge.schema.messages import (
    MessageReply,
    MessageUsage,
    ReplyBlock,
    ReplyTextBlock,
    ReplyToolUseBlock,
    StopReason,
)
from glm3edge.serving.arguments import parsed_arguments
from glm3edge.serving.streams import closing_on_exit

_STOP_REASONS: dict[chat.FinishReasonName, StopReason] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
}


def message(reply: ChatReply) -> MessageReply:
    """Translate a chat reply to a message."""
    (choice,) = reply.choices
    text = choice.message.content
    content: list[ReplyBlock] = [ReplyTextBlock(text=text)] if text else []
    for call in choice.message.tool_calls or ():
        arguments = parsed_arguments(call.function.arguments)
        content.append(ReplyToolUseBlock(id=call.id, name=call.function.name, input=arguments))
    stop = _stop(choice.finish_reason, choice.stop_string)
    return MessageReply(
        id=_message_id(reply.id),
        model=reply.model,
        content=content,
        stop_reason=stop.stop_reason,
        stop_sequence=stop.stop_sequence,
        usage=_usage(reply.usage),
    )


async def message_events(
    chunks: AsyncGenerator[ChatChunk, None], *, num_prompt_tokens: int
) -> AsyncGenerator[EventModel, None]:
    """Translate the chunks of a chat reply, which must have usage, to events of a message.

    How many of the prompt's tokens were in the KV cache is only known at the end: ``message_start``
    counts all as input, ``message_delta`` tells them apart.
    """
    writer = _EventWriter(num_prompt_tokens)
    async with closing_on_exit(chunks):
        async for chunk in chunks:
            for event in writer.feed(chunk):
                yield event


class _EventWriter:
    """Writer of a message's events: ``feed()`` all chunks; the last has the usage."""

    def __init__(self, num_prompt_tokens: int) -> None:
        self._num_prompt_tokens = num_prompt_tokens
        self._num_blocks = 0
        self._open_type: Literal["text", "tool_use"] | None = None  # of the current block
        self._stop = _stop("stop", None)

    def feed(self, chunk: ChatChunk) -> Iterator[EventModel]:
        """Events that follow from ``chunk``."""
        for choice in chunk.choices:
            if choice.delta.role is not None:
                yield self._start(chunk)
                yield PingEvent()
            if choice.delta.content:
                yield from self._text(choice.delta.content)
            for call in choice.delta.tool_calls or ():
                yield from self._call(call)
            if choice.finish_reason is not None:
                self._stop = _stop(choice.finish_reason, choice.stop_string)
        if chunk.usage is not None:
            yield from self._end_block()
            yield MessageDeltaEvent(delta=self._stop, usage=_usage(chunk.usage))
            yield MessageStopEvent()

    def _start(self, chunk: ChatChunk) -> EventModel:
        usage = MessageUsage(
            input_tokens=self._num_prompt_tokens, cache_read_input_tokens=0, output_tokens=0
        )
        message = MessageReply(
            id=_message_id(chunk.id),
            model=chunk.model,
            content=[],
            stop_reason=None,
            stop_sequence=None,
            usage=usage,
        )
        return MessageStartEvent(message=message)

    def _text(self, text: str) -> Iterator[EventModel]:
        if self._open_type != "text":
            yield from self._begin_block(ReplyTextBlock(text=""))
        yield BlockDeltaEvent(index=self._num_blocks - 1, delta=TextDelta(text=text))

    def _call(self, call: chat.ToolCallChunk) -> Iterator[EventModel]:
        if call.id is not None and call.function.name is not None:
            block = ReplyToolUseBlock(id=call.id, name=call.function.name, input={})
            yield from self._begin_block(block)
        if call.function.arguments:
            delta = InputJsonDelta(partial_json=call.function.arguments)
            yield BlockDeltaEvent(index=self._num_blocks - 1, delta=delta)

    def _begin_block(self, block: ReplyBlock) -> Iterator[EventModel]:
        """Begin a block, after the end of the one before it."""
        yield from self._end_block()
        self._open_type = block.type
        self._num_blocks += 1
        yield BlockStartEvent(index=self._num_blocks - 1, content_block=block)

    def _end_block(self) -> Iterator[EventModel]:
        if self._open_type is not None:
            self._open_type = None
            yield BlockStopEvent(index=self._num_blocks - 1)


def _message_id(chat_id: str) -> str:
    return f"msg_{chat_id.removeprefix('chatcmpl-')}"


def _stop(reason: chat.FinishReasonName, stop_string: str | None) -> Stop:
    if reason == "stop" and stop_string is not None:
        return Stop(stop_reason="stop_sequence", stop_sequence=stop_string)
    return Stop(stop_reason=_STOP_REASONS[reason], stop_sequence=None)


def _usage(usage: Usage) -> MessageUsage:
    details = usage.prompt_tokens_details
    num_cached_tokens = details.cached_tokens if details is not None else 0
    return MessageUsage(
        input_tokens=usage.prompt_tokens - num_cached_tokens,
        cache_read_input_tokens=num_cached_tokens,
        output_tokens=usage.completion_tokens,
    )
