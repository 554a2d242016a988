"""Chunks of a streamed chat reply."""

from collections.abc import Sequence
from typing import Any

from glm3edge.chatglm3.parser import ToolCallDelta
from glm3edge.core import ProgressEvent
from glm3edge.schema.chat import (
    ChatChunk,
    ChatUsageChunk,
    ChunkChoice,
    ChunkDelta,
    FirstDelta,
    FunctionCallChunk,
    PromptProgress,
    ToolCallChunk,
)
from glm3edge.serving.chat.job import ChatJob
from glm3edge.serving.chat.parts import ChatFinished, Part, ReplyItem
from glm3edge.serving.chat.reply import new_call_id


def first_chunk(job: ChatJob, index: int) -> ChatChunk:
    """Chunk that begins the choice ``index``; that of the first says what was left out."""
    choice = ChunkChoice(index=index, delta=FirstDelta())
    return _chunk(job, choice, truncation=job.truncation if index == 0 else None)


def item_chunk(job: ChatJob, index: int, item: ReplyItem) -> ChatChunk:
    """Chunk for ``item`` of the choice ``index``; progress belongs to no choice."""
    match item:
        case ProgressEvent():
            return _chunk(job, prompt_progress=_progress(item))
        case ChatFinished():
            choice = ChunkChoice(
                index=index,
                delta=ChunkDelta(),
                finish_reason=item.finish_reason,
                stop_string=item.stop_string,
            )
        case Part():
            choice = ChunkChoice(index=index, delta=_delta(item), logprobs=item.logprobs)
    return _chunk(job, choice)


def usage_chunk(job: ChatJob, ends: Sequence[ChatFinished]) -> ChatChunk:
    """Last chunk of a stream with usage; ``ends`` are the endings of all choices."""
    return _chunk(job, usage=job.usage(ends))


def _chunk(job: ChatJob, *choices: ChunkChoice, **fields: Any) -> ChatChunk:
    kind = ChatUsageChunk if job.include_usage else ChatChunk
    return kind(id=job.id, created=job.created, model=job.model, choices=list(choices), **fields)


def _delta(part: Part) -> ChunkDelta:
    if isinstance(part.delta, ToolCallDelta):
        return ChunkDelta(tool_calls=[_tool_call_chunk(part.delta)])
    return ChunkDelta(content=part.delta.text)


def _tool_call_chunk(delta: ToolCallDelta) -> ToolCallChunk:
    function = FunctionCallChunk(name=delta.name, arguments=delta.arguments)
    if delta.name is None:
        return ToolCallChunk(index=delta.index, function=function)
    return ToolCallChunk(index=delta.index, id=new_call_id(), type="function", function=function)


def _progress(event: ProgressEvent) -> PromptProgress:
    return PromptProgress(
        total=event.num_tokens,
        cached=event.num_cached,
        processed=event.num_processed,
        seconds=round(event.seconds, 3),
    )
