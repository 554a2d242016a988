"""Chunks of a chat reply, translated to events of a streamed response."""

import itertools
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, Literal

from glm3edge.schema.base import Usage
from glm3edge.schema.chat import (
    ChatChunk,
    ChunkChoice,
    FinishReasonName,
    TokenLogprob,
    ToolCallChunk,
)
from glm3edge.schema.errors import ErrorDetail
from glm3edge.schema.response_events import (
    ArgumentsDeltaEvent,
    ArgumentsDoneEvent,
    ErrorEvent,
    InputDeltaEvent,
    InputDoneEvent,
    ItemEvent,
    LifecycleEvent,
    PartEvent,
    ResponseEvent,
    TextDeltaEvent,
    TextDoneEvent,
)
from glm3edge.schema.response_items import (
    CallItem,
    FunctionCall,
    OutputItem,
    OutputMessage,
    OutputText,
)
from glm3edge.schema.responses import ResponseFailure, ResponseReply
from glm3edge.serving.responses.reply import finish, text_message
from glm3edge.serving.responses.tools import ToolTable, finish_call
from glm3edge.serving.streams import closing_on_exit


async def response_events(
    chunks: AsyncGenerator[ChatChunk, None],
    writer: "EventWriter",
    *,
    on_end: Callable[[ResponseReply], None],
) -> AsyncGenerator[ResponseEvent, None]:
    """Translate the chunks of a chat reply, which must have usage, to events of a response.

    ``on_end`` is called with the whole response before the client gets it.
    """
    async with closing_on_exit(chunks):
        for event in writer.start():
            yield event
        async for chunk in chunks:
            for event in writer.feed(chunk):
                yield event
    last = writer.finish()
    on_end(last.response)
    yield last


class EventWriter:
    """Writer of one response's events: ``start()``, ``feed()`` with each chunk, then ``finish()``.

    ``fail()`` replaces the rest wherever the stream breaks off.
    """

    def __init__(self, started: ResponseReply) -> None:
        self._started = started
        self._tools = ToolTable(started.tools)
        self._numbers = itertools.count()
        self._output: list[OutputItem] = []
        self._message: OutputMessage | None = None
        self._call: CallItem | None = None
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._reason: FinishReasonName = "stop"
        self._usage = Usage(prompt_tokens=0, total_tokens=0)

    def start(self) -> Iterator[ResponseEvent]:
        """The first events."""
        yield LifecycleEvent(
            sequence_number=next(self._numbers), type="response.created", response=self._started
        )
        yield LifecycleEvent(
            sequence_number=next(self._numbers), type="response.in_progress", response=self._started
        )

    def feed(self, chunk: ChatChunk) -> Iterator[ResponseEvent]:
        """Events that follow from ``chunk``."""
        for choice in chunk.choices:
            yield from self._text(choice)
            for call in choice.delta.tool_calls or ():
                yield from self._call_chunk(call)
            if choice.finish_reason is not None:
                self._reason = choice.finish_reason
                yield from self._end()
        if chunk.usage is not None:
            self._usage = chunk.usage

    def finish(self) -> LifecycleEvent:
        """The last event, with the whole response."""
        whole = finish(self._started, output=self._output, reason=self._reason, usage=self._usage)
        is_cut = whole.status == "incomplete"
        return LifecycleEvent(
            sequence_number=next(self._numbers),
            type="response.incomplete" if is_cut else "response.completed",
            response=whole,
        )

    def fail(self, error: ErrorDetail) -> ResponseEvent:
        """The last event of a stream that broke off; it has no details if a bug is the reason."""
        if error.code == "internal_error":
            return ErrorEvent(
                sequence_number=next(self._numbers),
                error=error,
                code=error.code,
                message=error.message,
                param=error.param,
            )
        is_busy = error.type == "rate_limit_error"
        failure = ResponseFailure(
            code="rate_limit_exceeded" if is_busy else "server_error", message=error.message
        )
        update = {"status": "failed", "error": failure, "output": self._output}
        return LifecycleEvent(
            sequence_number=next(self._numbers),
            type="response.failed",
            response=self._started.model_copy(update=update),
        )

    def _text(self, choice: ChunkChoice) -> Iterator[ResponseEvent]:
        text = choice.delta.content
        logprobs = [] if choice.logprobs is None else choice.logprobs.content
        if text:
            yield from self._open()
        self._logprobs += logprobs
        if text and self._message is not None:
            self._texts.append(text)
            yield TextDeltaEvent(
                **self._place(self._message),
                delta=text,
                logprobs=logprobs,
            )

    def _call_chunk(self, chunk: ToolCallChunk) -> Iterator[ResponseEvent]:
        if chunk.id is not None and chunk.function.name is not None:
            yield from self._close(is_cut=False)
            self._call = self._tools.start_call(chunk.id, chunk.function.name)
            yield self._item("response.output_item.added", self._call)
        if chunk.function.arguments and self._call is not None:
            self._texts.append(chunk.function.arguments)
            if isinstance(self._call, FunctionCall):
                yield ArgumentsDeltaEvent(**self._place(self._call), delta=chunk.function.arguments)

    def _end(self) -> Iterator[ResponseEvent]:
        if not self._output and self._call is None:
            yield from self._open()
        yield from self._close(is_cut=self._reason == "length")

    def _open(self) -> Iterator[ResponseEvent]:
        """Begin a message, unless one is being written."""
        if self._message is None:
            yield from self._close(is_cut=False)
            self._message = OutputMessage(content=[], status="in_progress")
            yield self._item("response.output_item.added", self._message)
            yield self._part("response.content_part.added", self._message, OutputText(text=""))

    def _close(self, *, is_cut: bool) -> Iterator[ResponseEvent]:
        """End the item that is being written, if there is one."""
        if self._call is not None:
            yield from self._close_call(self._call)
        elif self._message is not None:
            yield from self._close_message(self._message, is_cut=is_cut)
        self._call, self._message, self._texts, self._logprobs = None, None, [], []

    def _close_call(self, started: CallItem) -> Iterator[ResponseEvent]:
        call = finish_call(started, "".join(self._texts))
        if isinstance(call, FunctionCall):
            yield ArgumentsDoneEvent(**self._place(call), name=call.name, arguments=call.arguments)
        else:
            yield InputDeltaEvent(**self._place(call), delta=call.input)
            yield InputDoneEvent(**self._place(call), input=call.input)
        yield self._item("response.output_item.done", call)
        self._output.append(call)

    def _close_message(self, started: OutputMessage, *, is_cut: bool) -> Iterator[ResponseEvent]:
        message = text_message("".join(self._texts), self._logprobs or None, is_cut=is_cut)
        message = message.model_copy(update={"id": started.id})
        (part,) = message.content
        yield TextDoneEvent(
            **self._place(message),
            text=part.text,
            logprobs=self._logprobs,
        )
        yield self._part("response.content_part.done", message, part)
        yield self._item("response.output_item.done", message)
        self._output.append(message)

    def _part(
        self,
        kind: Literal["response.content_part.added", "response.content_part.done"],
        message: OutputMessage,
        part: OutputText,
    ) -> ResponseEvent:
        return PartEvent(
            type=kind,
            **self._place(message),
            part=part,
        )

    def _place(self, item: OutputItem) -> dict[str, Any]:
        """Fields of the next event within ``item``."""
        return {
            "sequence_number": next(self._numbers),
            "item_id": item.id,
            "output_index": len(self._output),
        }

    def _item(
        self,
        kind: Literal["response.output_item.added", "response.output_item.done"],
        item: OutputItem,
    ) -> ResponseEvent:
        return ItemEvent(
            sequence_number=next(self._numbers),
            type=kind,
            output_index=len(self._output),
            item=item,
        )
