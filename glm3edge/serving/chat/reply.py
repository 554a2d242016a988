"""The join for chat: request -> prompt -> engine -> parser -> reply or chunks."""

import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from glm3edge.chatglm3.chat_logprobs import ContentLogprobs, joined
from glm3edge.chatglm3.constraint import Matcher, ReplyConstraint
from glm3edge.chatglm3.grammar import (
    call_grammar,
    check_length,
    json_grammar,
    required_grammar,
)
from glm3edge.chatglm3.parser import ProseDelta, ReplyParser, ToolCallDelta
from glm3edge.chatglm3.prompt import build_turns, encode_turn, encode_turns, turns_by_message
from glm3edge.chatglm3.truncation import drop_oldest
from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary
from glm3edge.core import FinishReason, ProgressEvent
from glm3edge.engine.async_stream import gather, merge, stream_events
from glm3edge.engine.engine import Engine
from glm3edge.engine.sequence import Constraint, Generation, GenerationRequest
from glm3edge.errors import GrammarError, InvalidRequestError
from glm3edge.llama.guidance import Guide
from glm3edge.schema.base import Usage
from glm3edge.schema.chat import (
    AllowedToolChoice,
    ChatChunk,
    ChatReply,
    ChatRequest,
    Choice,
    ChoiceLogprobs,
    ChunkChoice,
    ChunkDelta,
    FinishReasonName,
    FunctionCallChunk,
    Message,
    NamedToolChoice,
    PromptProgress,
    ReplyFunction,
    ReplyMessage,
    ReplyToolCall,
    Tool,
    ToolCallChunk,
    ToolChoice,
    Truncation,
)
from glm3edge.serving.chat.parts import ChatEnd, Part, PartReader, merged, read
from glm3edge.serving.generation import ModelNames, check_biases, generation_requests, usage
from glm3edge.serving.token_limits import new_token_limit, reserved_tokens

logger = logging.getLogger(__name__)

_MAX_HIDDEN_TOKENS = 8
"""Of white space, which a reply begins with; the metadata line takes two."""

_Item = Part | ProgressEvent | ChatEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatJob:
    """A checked request, ready to run: nothing in it can fail for the caller's fault any more."""

    id: str
    created: int
    model: str
    generations: tuple[GenerationRequest, ...]
    make_reader: Callable[[tuple[str, ...]], PartReader]
    include_usage: bool
    truncation: Truncation | None

    @property
    def num_prompt_tokens(self) -> int:
        """Tokens of the prompt, which all replies share."""
        return len(self.generations[0].prompt_ids)


@dataclass(frozen=True, slots=True)
class _Whole:
    """A grammar for all of a reply, and the request field that wants it."""

    grammar: str
    param: str


@dataclass(frozen=True, slots=True)
class _Held:
    """What holds each reply, if anything does, and the tools whose calls it holds."""

    make_constraint: Callable[[], Constraint] | None = None
    tool_names: frozenset[str] = frozenset()


class ChatService:
    """Makes chat completions with one model and its adapters: see ``ModelNames``."""

    def __init__(
        self,
        engine: Engine,
        vocabulary: Vocabulary,
        *,
        model_id: str,
        adapter_ids: Sequence[str] = (),
        guide: Guide | None = None,
        clamp_max_tokens: bool = False,
    ) -> None:
        """Over one engine; without a ``guide`` replies are not held to grammars.

        With ``clamp_max_tokens`` requests may ask for more new tokens than fit, and get those.
        """
        self._engine = engine
        self._guide = guide
        self._clamp_max_tokens = clamp_max_tokens
        self._vocabulary = vocabulary
        self._special = SpecialTokens.of(vocabulary)
        self._names = ModelNames(model_id, tuple(adapter_ids))

    def prepare(self, request: ChatRequest, *, clamp_max_tokens: bool = False) -> ChatJob:
        """Check a request and encode its prompt. May take a while; blocks.

        ``clamp_max_tokens`` is for requests of an API whose clients cannot leave out the limit.

        Raises:
            InvalidRequestError: a field asks for what this server cannot do.
            ContextLengthExceededError: prompt and reply do not fit the context.
        """
        _refuse_unsupported(request)
        check_biases(request, self._vocabulary)
        tools = _offered_tools(request)
        prompt_ids, truncation = self._fitted_prompt(request)
        max_new_tokens = new_token_limit(  # before grammars are made of what is too long
            num_prompt_tokens=len(prompt_ids),
            max_new_tokens=request.max_new_tokens,
            context_size=self._engine.context_size,
            param="messages",
            clamp=clamp_max_tokens or self._clamp_max_tokens,
        )
        held = self._held(request, tools)
        make_reader = partial(self._reader, request, tools, held.tool_names)
        model, adapter = self._names.find(request.model)
        options = request.stream_options
        return ChatJob(
            id=f"chatcmpl-{uuid.uuid4().hex}",
            created=int(time.time()),
            model=model,
            generations=generation_requests(
                request,
                prompt_ids,
                max_new_tokens=max_new_tokens,
                max_hidden_tokens=_MAX_HIDDEN_TOKENS,
                stop_token_ids=self._special.stop_ids,
                adapter=adapter,
                num_logprobs=(request.top_logprobs or 0) if request.logprobs else None,
                make_reader=make_reader,
                make_constraint=held.make_constraint,
                wants_progress=bool(request.stream and options and options.include_progress),
            ),
            make_reader=make_reader,
            include_usage=bool(options and options.include_usage),
            truncation=truncation,
        )

    def count_prompt_tokens(self, request: ChatRequest) -> int:
        """Tokens of a request's prompt, whether it fits the context or not. Blocks.

        Raises:
            InvalidRequestError: a message has no meaning where it stands.
        """
        return len(self._encode(request, request.messages))

    def _fitted_prompt(self, request: ChatRequest) -> tuple[list[int], Truncation | None]:
        """The prompt, and what was left out of it so that it fits, if that was asked for."""
        prompt_ids = self._encode(request, request.messages)
        if request.truncation != "auto":
            return prompt_ids, None
        context_size = self._engine.context_size
        num_wanted = request.max_new_tokens
        if num_wanted is None or (self._clamp_max_tokens and num_wanted >= context_size):
            num_wanted = reserved_tokens(context_size)
        num_excess = len(prompt_ids) + num_wanted - context_size
        if num_excess <= 0:
            return prompt_ids, None
        kept = drop_oldest(
            request.messages, self._message_sizes(request.messages), num_excess=num_excess
        )
        if not kept.num_dropped_messages:
            return prompt_ids, None
        return self._encode(request, kept.messages), Truncation(
            dropped_messages=kept.num_dropped_messages, dropped_tokens=kept.num_dropped_tokens
        )

    def _encode(self, request: ChatRequest, messages: list[Message]) -> list[int]:
        tools = _offered_tools(request)
        return encode_turns(
            build_turns(messages, tools),
            self._vocabulary,
            self._special,
            asks_for_prose=not _may_call(request, tools),
        )

    def _message_sizes(self, messages: list[Message]) -> list[int]:
        """Tokens that each message takes in the prompt, system messages apart."""
        return [
            sum(len(encode_turn(turn, self._vocabulary, self._special)) for turn in turns)
            for turns in turns_by_message(messages)
        ]

    def _held(self, request: ChatRequest, tools: list[Tool]) -> _Held:
        """What holds each reply to its tools, or to JSON."""
        whole = _whole_reply(request, tools)
        if self._guide is None:
            if whole is not None:
                raise InvalidRequestError(f"{whole.param} needs a model", param=whole.param)
            return _Held()
        calls = self._call_matchers(tools) if _may_call(request, tools) else {}
        if not calls and whole is None:
            return _Held()
        start = None if whole is None else self._matcher(whole.grammar, whole.param)
        may_call_again = request.parallel_tool_calls is not False

        def make_constraint() -> Constraint:
            return ReplyConstraint(
                self._vocabulary,
                end_ids=self._special.stop_ids,
                assistant_id=self._special.assistant,
                calls=calls,
                whole=None if start is None else start.copy(),
                may_call_again=may_call_again,
            )

        return _Held(make_constraint, frozenset(calls))

    def _call_matchers(self, tools: list[Tool]) -> dict[str, Matcher]:
        """What constrains the calls of each tool whose schema can be enforced, by its name."""
        grammars = [
            (tool, grammar) for tool in tools if (grammar := call_grammar(tool)) is not None
        ]
        check_length(sum(len(grammar) for _, grammar in grammars))
        matchers = {}
        for tool, grammar in grammars:
            name = tool.function.name
            try:
                matchers[name] = self._matcher(grammar, "tools")
            except InvalidRequestError as exc:
                if tool.function.strict:
                    raise
                logger.info("calls of %s are held to nothing: %s", name, exc)
        return matchers

    def _matcher(self, grammar: str, param: str) -> Matcher:
        assert self._guide is not None  # noqa: S101 - for the type checker; the caller has looked
        try:
            return self._guide.matcher(grammar)
        except GrammarError as exc:
            raise InvalidRequestError(f"{param} cannot be followed: {exc}", param=param) from exc

    def _reader(
        self,
        request: ChatRequest,
        tools: list[Tool],
        held_names: frozenset[str],
        stop_strings: tuple[str, ...],
    ) -> PartReader:
        """What makes parts of a reply's tokens."""
        may_call, assistant_id = _may_call(request, tools), self._special.assistant
        parser = ReplyParser(
            assistant_id=assistant_id,
            tool_names={tool.function.name for tool in tools} if may_call else (),
            held_names=held_names,
            begins_in_prose=not may_call,
        )
        logprobs = None
        if request.logprobs:
            logprobs = ContentLogprobs(self._vocabulary, assistant_id=assistant_id)
        return PartReader(stop_strings, parser=parser, logprobs=logprobs)

    async def complete(self, job: ChatJob) -> ChatReply:
        """The whole reply."""
        numbers = range(len(job.generations))
        made = await gather(self._choice(job, number) for number in numbers)
        return ChatReply(
            id=job.id,
            created=job.created,
            model=job.model,
            choices=[choice for choice, _ in made],
            usage=_usage(job, [end for _, end in made]),
            truncation=job.truncation,
        )

    async def stream(self, job: ChatJob) -> AsyncGenerator[ChatChunk, None]:
        """The reply in chunks: the role, what comes, the finish reason, and usage if asked for."""
        numbers = range(len(job.generations))
        for number in numbers:
            chunk = self._chunk(job, number, ChunkDelta(role="assistant", content=""))
            is_first = number == 0
            yield chunk.model_copy(update={"truncation": job.truncation}) if is_first else chunk
        ends: list[ChatEnd] = []
        # Closed here and not by the garbage collector: the sequence must stop when its client does.
        async with aclosing(merge([self._run(job, number) for number in numbers])) as parts:
            async for number, part in parts:
                if isinstance(part, ChatEnd):
                    ends.append(part)
                yield self._part_chunk(job, number, part)
        if job.include_usage:
            yield self._usage_chunk(job, ends)

    async def _choice(self, job: ChatJob, number: int) -> tuple[Choice, ChatEnd]:
        """One whole reply, and its ending."""
        prose: list[str] = []
        calls = _Calls()
        logprobs: list[ChoiceLogprobs | None] = []
        async with aclosing(self._run(job, number)) as parts:
            async for part in parts:
                match part:
                    case Part(ProseDelta(text)):
                        prose.append(text)
                        logprobs.append(part.logprobs)
                    case Part(ToolCallDelta() as delta):
                        calls.add(delta)
                    case ChatEnd():
                        end = part
        content, tool_calls = "".join(prose), calls.made() or None
        message = ReplyMessage(
            content=content if content or not tool_calls else None, tool_calls=tool_calls
        )
        choice = Choice(
            index=number,
            message=message,
            logprobs=joined(logprobs),
            finish_reason=_finish_reason(end),
            stop_string=end.stop_string,
            ends_in_prose=end.ends_in_prose,
        )
        return choice, end

    async def _run(self, job: ChatJob, number: int) -> AsyncGenerator[_Item, None]:
        """Parts, then the ending. What comes at once is one part, where it can be.

        Only where there are stop strings to look for the engine makes parts: its time is dearer.
        """
        generation = job.generations[number]
        reader = None if generation.stop_strings else job.make_reader(())
        events = stream_events(self._engine, lambda sink: Generation(generation, sink))
        async with aclosing(events):
            async for arrived in events:
                for item in merged(arrived if reader is None else read(reader, arrived)):
                    yield item

    def _part_chunk(self, job: ChatJob, number: int, part: _Item) -> ChatChunk:
        if isinstance(part, ProgressEvent):
            return self._progress_chunk(job, part)
        if isinstance(part, ChatEnd):
            reason, stop_string = _finish_reason(part), part.stop_string
            return self._chunk(job, number, ChunkDelta(), reason, stop_string=stop_string)
        if isinstance(part.delta, ToolCallDelta):
            delta = ChunkDelta(tool_calls=[_tool_call_chunk(part.delta)])
        else:
            delta = ChunkDelta(content=part.delta.text)
        return self._chunk(job, number, delta, logprobs=part.logprobs)

    def _chunk(
        self,
        job: ChatJob,
        number: int,
        delta: ChunkDelta,
        finish_reason: FinishReasonName | None = None,
        *,
        logprobs: ChoiceLogprobs | None = None,
        stop_string: str | None = None,
    ) -> ChatChunk:
        choice = ChunkChoice(
            index=number,
            delta=delta,
            logprobs=logprobs,
            finish_reason=finish_reason,
            stop_string=stop_string,
        )
        return ChatChunk(id=job.id, created=job.created, model=job.model, choices=[choice])

    def _progress_chunk(self, job: ChatJob, event: ProgressEvent) -> ChatChunk:
        progress = PromptProgress(
            total=event.num_tokens,
            cached=event.num_cached,
            processed=event.num_processed,
            seconds=round(event.seconds, 3),
        )
        return ChatChunk(
            id=job.id,
            created=job.created,
            model=job.model,
            choices=[],
            prompt_progress=progress,
        )

    def _usage_chunk(self, job: ChatJob, ends: list[ChatEnd]) -> ChatChunk:
        return ChatChunk(
            id=job.id,
            created=job.created,
            model=job.model,
            choices=[],
            usage=_usage(job, ends),
        )


def _refuse_unsupported(request: ChatRequest) -> None:
    """Name what would otherwise be ignored without a word."""
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidRequestError("top_logprobs needs logprobs: true", param="top_logprobs")


def _offered_tools(request: ChatRequest) -> list[Tool]:
    choice, tools = request.tool_choice, list(request.tools or ())
    if choice == "none":
        return []
    if isinstance(choice, AllowedToolChoice):
        return _named_tools(tools, choice.allowed_tools.tools)
    return tools


def _named_tools(tools: list[Tool], choices: list[NamedToolChoice]) -> list[Tool]:
    """Those of ``tools`` that ``choices`` name, in their own order."""
    names = {choice.function.name for choice in choices}
    if unknown := names - {tool.function.name for tool in tools}:
        message = f"there is no tool {min(unknown)!r} in tools"
        raise InvalidRequestError(message, param="tool_choice")
    return [tool for tool in tools if tool.function.name in names]


def _may_call(request: ChatRequest, tools: list[Tool]) -> bool:
    """Whether a reply may have calls: it may not where all of it is JSON."""
    choice, wanted = request.tool_choice, request.response_format
    has_to_call = _has_to_call(choice) or isinstance(choice, NamedToolChoice)
    return bool(tools) and (has_to_call or wanted is None or wanted.type == "text")


def _has_to_call(choice: ToolChoice | None) -> bool:
    if isinstance(choice, AllowedToolChoice):
        return choice.allowed_tools.mode == "required"
    return choice == "required"


def _whole_reply(request: ChatRequest, tools: list[Tool]) -> _Whole | None:
    """What the reply has to be as a whole: a call, or JSON."""
    choice = request.tool_choice
    if _has_to_call(choice):
        if not tools:
            raise InvalidRequestError("tool_choice required needs tools", param="tool_choice")
        return _Whole(required_grammar(tools), "tool_choice")
    if isinstance(choice, NamedToolChoice):
        return _Whole(required_grammar(_named_tools(tools, [choice])), "tool_choice")
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return _Whole(json_grammar(None), "response_format")
    if wanted.json_schema is None or wanted.json_schema.definition is None:
        message = "response_format json_schema needs json_schema.schema"
        raise InvalidRequestError(message, param="response_format")
    return _Whole(json_grammar(wanted.json_schema.definition), "response_format")


def _finish_reason(end: ChatEnd) -> FinishReasonName:
    if end.reason is FinishReason.LENGTH:
        return "length"
    return "tool_calls" if end.has_calls else "stop"


def _usage(job: ChatJob, ends: list[ChatEnd]) -> Usage:
    return usage([(job.num_prompt_tokens, ends)])


class _Calls:
    """Puts calls together from their pieces."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._arguments: list[list[str]] = []

    def add(self, delta: ToolCallDelta) -> None:
        """One more piece."""
        if delta.name is not None:
            self._names.append(delta.name)
            self._arguments.append([])
        self._arguments[-1].append(delta.arguments)

    def made(self) -> list[ReplyToolCall]:
        """The calls."""
        return [
            ReplyToolCall(
                id=_new_call_id(), function=ReplyFunction(name=name, arguments="".join(arguments))
            )
            for name, arguments in zip(self._names, self._arguments, strict=True)
        ]


def _tool_call_chunk(delta: ToolCallDelta) -> ToolCallChunk:
    function = FunctionCallChunk(name=delta.name, arguments=delta.arguments)
    if delta.name is None:
        return ToolCallChunk(index=delta.index, function=function)
    return ToolCallChunk(index=delta.index, id=_new_call_id(), type="function", function=function)


def _new_call_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"
