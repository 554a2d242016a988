"""Chat replies and chunks, translated to the older forms.

A reply has one call there, ``function_call``. OpenAI streamed it in pieces, the name first. The
official ChatGLM3 server sends it whole in the last chunk, and in the content as the model wrote it.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from glm3edge.schema.chat import (
    ChatChunk,
    ChatReply,
    Choice,
    ChunkChoice,
    ChunkDelta,
    FinishReasonName,
    FunctionCallChunk,
    ReplyMessage,
    ToolCallChunk,
)
from glm3edge.serving.legacy.raw_calls import raw_call
from glm3edge.serving.legacy.request import Form
from glm3edge.serving.streams import closing_on_exit


def legacy_reply(reply: ChatReply, form: Form) -> ChatReply:
    """Translate ``reply`` for a client whose request was in ``form``."""
    if form is Form.TOOLS:
        return reply
    choices = [_legacy_choice(choice, form) for choice in reply.choices]
    return reply.model_copy(update={"choices": choices})


async def legacy_chunks(
    chunks: AsyncGenerator[ChatChunk, None], form: Form
) -> AsyncGenerator[ChatChunk, None]:
    """Translate ``chunks``, one for one, for a client whose request was in ``form``."""
    writers: dict[int, _ChunkWriter] = defaultdict(lambda: _ChunkWriter(form))
    async with closing_on_exit(chunks):
        async for chunk in chunks:
            if form is Form.TOOLS:
                yield chunk
                continue
            choices = [writers[choice.index].choice(choice) for choice in chunk.choices]
            yield chunk.model_copy(update={"choices": choices})


def _legacy_choice(choice: Choice, form: Form) -> Choice:
    if not choice.message.tool_calls:
        return choice
    call, content = choice.message.tool_calls[0].function, choice.message.content
    if form is Form.OFFICIAL:
        raw = raw_call(call.name, call.arguments, after_prose=bool(content))
        content = (content or "") + raw
    return choice.model_copy(
        update={
            "message": ReplyMessage(content=content, function_call=call),
            "finish_reason": _legacy_reason(choice.finish_reason),
        }
    )


def _legacy_reason(reason: FinishReasonName | None) -> FinishReasonName | None:
    return "function_call" if reason == "tool_calls" else reason


@dataclass(slots=True)
class _ChunkWriter:
    """Translator of one choice's chunks; collects the call that the official form sends whole."""

    form: Form
    name: str = ""
    arguments: str = ""
    has_prose: bool = False

    def choice(self, choice: ChunkChoice) -> ChunkChoice:
        """Translate the choice's share of the next chunk."""
        delta = choice.delta
        self.has_prose |= bool(delta.content)
        if delta.tool_calls:
            delta = self._call_delta(delta.tool_calls)
        elif choice.finish_reason and self.name and self.form is Form.OFFICIAL:
            delta = self._whole_call()
        reason = _legacy_reason(choice.finish_reason)
        return choice.model_copy(update={"delta": delta, "finish_reason": reason})

    def _call_delta(self, calls: list[ToolCallChunk]) -> ChunkDelta:
        (call,) = calls
        if call.index > 0:  # a second call: the form has no place for it
            return ChunkDelta()
        if self.form is Form.FUNCTIONS:
            return ChunkDelta(function_call=call.function)
        self.name += call.function.name or ""
        self.arguments += call.function.arguments
        return ChunkDelta()

    def _whole_call(self) -> ChunkDelta:
        raw = raw_call(self.name, self.arguments, after_prose=self.has_prose)
        function = FunctionCallChunk(name=self.name, arguments=self.arguments)
        return ChunkDelta(content=raw or None, function_call=function)
