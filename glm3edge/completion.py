"""The join for chat: request -> prompt -> engine -> parser -> reply or chunks."""

import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from glm3edge.chatglm3.parser import Delta, ProseDelta, ReplyParser, ToolCallDelta
from glm3edge.chatglm3.prompt import build_turns, encode_turns
from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary
from glm3edge.engine.engine import Engine
from glm3edge.engine.sequence import Generation, GenerationRequest
from glm3edge.engine.stream import stream_events
from glm3edge.errors import InvalidRequestError
from glm3edge.limits import new_token_limit
from glm3edge.schema.base import PromptTokensDetails, Usage
from glm3edge.schema.chat import (
    ChatChunk,
    ChatReply,
    ChatRequest,
    Choice,
    ChunkChoice,
    ChunkDelta,
    FinishReasonName,
    ReplyFunction,
    ReplyMessage,
    ReplyToolCall,
    Tool,
    ToolCallChunk,
)
from glm3edge.types import EndEvent, FinishReason, Priority, SamplingParams


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatJob:
    """A checked request, ready to run: nothing in it can fail for the caller's fault any more."""

    id: str
    created: int
    generation: GenerationRequest
    tool_names: frozenset[str]
    include_usage: bool


class ChatCompleter:
    """Makes chat completions with one model."""

    def __init__(self, engine: Engine, vocabulary: Vocabulary, *, model_id: str) -> None:
        self._engine = engine
        self._vocabulary = vocabulary
        self._special = SpecialTokens.of(vocabulary)
        self._model_id = model_id

    def prepare(self, request: ChatRequest) -> ChatJob:
        """Check a request and encode its prompt. May take a while; blocks.

        Raises:
            InvalidRequestError: a field asks for what this server cannot do.
            ContextLengthExceededError: prompt and reply do not fit the context.
        """
        _refuse_unsupported(request)
        tools = _offered_tools(request)
        turns = build_turns(request.messages, tools)
        prompt_ids = encode_turns(turns, self._vocabulary, self._special)
        options = request.stream_options
        return ChatJob(
            id=f"chatcmpl-{uuid.uuid4().hex}",
            created=int(time.time()),
            generation=self._generation_request(request, prompt_ids),
            tool_names=frozenset(tool.function.name for tool in tools),
            include_usage=bool(options and options.include_usage),
        )

    async def complete(self, job: ChatJob) -> ChatReply:
        """The whole reply."""
        prose: list[str] = []
        calls: list[ReplyToolCall] = []
        async with aclosing(self._run(job)) as items:
            async for item in items:
                if isinstance(item, ProseDelta):
                    prose.append(item.text)
                elif isinstance(item, ToolCallDelta):
                    calls.append(_tool_call(item))
                else:
                    end = item
        content = "".join(prose)
        message = ReplyMessage(
            content=content if content or not calls else None, tool_calls=calls or None
        )
        choice = Choice(message=message, finish_reason=_finish_reason(end, has_calls=bool(calls)))
        return ChatReply(
            id=job.id,
            created=job.created,
            model=self._model_id,
            choices=[choice],
            usage=_usage(job, end),
        )

    async def stream(self, job: ChatJob) -> AsyncGenerator[ChatChunk, None]:
        """The reply in chunks: the role, what comes, the finish reason, and usage if asked for."""
        yield self._chunk(job, ChunkDelta(role="assistant", content=""))
        has_calls = False
        # Closed here and not by the garbage collector: the sequence must stop when its client does.
        async with aclosing(self._run(job)) as items:
            async for item in items:
                if isinstance(item, ProseDelta):
                    yield self._chunk(job, ChunkDelta(content=item.text))
                elif isinstance(item, ToolCallDelta):
                    has_calls = True
                    yield self._chunk(job, ChunkDelta(tool_calls=[_tool_call_chunk(item)]))
                else:
                    yield self._chunk(job, ChunkDelta(), _finish_reason(item, has_calls=has_calls))
                    if job.include_usage:
                        yield self._chunk(job, usage=_usage(job, item))

    async def _run(self, job: ChatJob) -> AsyncGenerator[Delta | EndEvent, None]:
        """Deltas, then the ending."""
        parser = ReplyParser(assistant_id=self._special.assistant, tool_names=job.tool_names)
        events = stream_events(self._engine, lambda sink: Generation(job.generation, sink))
        async with aclosing(events):
            async for event in events:
                if isinstance(event, EndEvent):
                    for delta in parser.finish(event.text):
                        yield delta
                    yield event
                else:
                    for delta in parser.feed(event):
                        yield delta

    def _generation_request(self, request: ChatRequest, prompt_ids: list[int]) -> GenerationRequest:
        max_new_tokens = new_token_limit(
            num_prompt_tokens=len(prompt_ids),
            max_new_tokens=request.max_new_tokens,
            context_size=self._engine.context_size,
            param="messages",
        )
        return GenerationRequest(
            prompt_ids=prompt_ids,
            max_new_tokens=max_new_tokens,
            sampling=_sampling(request),
            stop_token_ids=self._special.stop_ids,
            stop_strings=request.stop_strings,
            priority=Priority[(request.priority or "interactive").upper()],
        )

    def _chunk(
        self,
        job: ChatJob,
        delta: ChunkDelta | None = None,
        finish_reason: FinishReasonName | None = None,
        usage: Usage | None = None,
    ) -> ChatChunk:
        choices = [] if delta is None else [ChunkChoice(delta=delta, finish_reason=finish_reason)]
        return ChatChunk(
            id=job.id, created=job.created, model=self._model_id, choices=choices, usage=usage
        )


def _refuse_unsupported(request: ChatRequest) -> None:
    """Name what would otherwise be ignored without a word."""
    refused = {
        "n": request.n not in (None, 1),
        "logprobs": bool(request.logprobs),
        "logit_bias": bool(request.logit_bias),
        "functions": bool(request.functions),
        "response_format": (request.response_format or {}).get("type", "text") != "text",
        "tool_choice": request.tool_choice not in (None, "auto", "none"),
    }
    for name, is_refused in refused.items():
        if is_refused:
            message = f"{name} with this value is not supported by this server"
            raise InvalidRequestError(message, param=name)


def _offered_tools(request: ChatRequest) -> list[Tool]:
    return [] if request.tool_choice == "none" else list(request.tools or ())


def _sampling(request: ChatRequest) -> SamplingParams:
    given = {
        name: value
        for name in SamplingParams.__dataclass_fields__
        if (value := getattr(request, name)) is not None
    }
    return SamplingParams(**given)


def _finish_reason(end: EndEvent, *, has_calls: bool) -> FinishReasonName:
    if end.reason is FinishReason.LENGTH:
        return "length"
    return "tool_calls" if has_calls else "stop"


def _usage(job: ChatJob, end: EndEvent) -> Usage:
    num_prompt_tokens = len(job.generation.prompt_ids)
    return Usage(
        prompt_tokens=num_prompt_tokens,
        completion_tokens=end.num_completion_tokens,
        total_tokens=num_prompt_tokens + end.num_completion_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=end.num_cached_tokens),
    )


def _tool_call(delta: ToolCallDelta) -> ReplyToolCall:
    function = ReplyFunction(name=delta.name, arguments=delta.arguments)
    return ReplyToolCall(id=f"call_{uuid.uuid4().hex[:24]}", function=function)


def _tool_call_chunk(delta: ToolCallDelta) -> ToolCallChunk:
    call = _tool_call(delta)
    return ToolCallChunk(index=delta.index, id=call.id, function=call.function)
