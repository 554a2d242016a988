"""Preparation of chat requests: checks, prompt, token limit and constraints make a job."""

import json
import time
import uuid
from functools import partial

from glm3edge.chatglm3.chat_logprobs import ContentLogprobs
from glm3edge.chatglm3.parser import ReplyParser
from glm3edge.chatglm3.prompt import build_turns, encode_turn, encode_turns, turns_by_message
from glm3edge.chatglm3.truncation import drop_oldest
from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary
from glm3edge.engine.interface import InferenceEngine
from glm3edge.errors import InvalidRequestError
from glm3edge.llama.guidance import Guide
from glm3edge.schema.chat import ChatRequest, Message, Tool, Truncation
from glm3edge.serving.chat.constraints import GrammarBuilder, offered_tools
from glm3edge.serving.chat.continuation import continues_last_message
from glm3edge.serving.chat.job import ChatJob
from glm3edge.serving.chat.parts import PartReader
from glm3edge.serving.generation import ModelNames, check_biases, generation_requests
from glm3edge.serving.text_limits import TextMeter
from glm3edge.serving.token_limits import new_token_limit, reserved_tokens

_MAX_HIDDEN_TOKENS = 8
"""Of white space, which a reply begins with; the metadata line takes two."""
_NO_CONTINUATION = (
    "with --engine a reply cannot go on with the last message under tools or response_format: "
    "leave them out, or end with a message of the user"
)


class ChatPreparer:
    """Makes jobs of chat requests; its methods block, and may take a while."""

    def __init__(
        self,
        engine: InferenceEngine,
        vocabulary: Vocabulary,
        names: ModelNames,
        *,
        guide: Guide | None,
        clamp_max_tokens: bool,
    ) -> None:
        """Arguments are those of ``ChatService``."""
        self._engine = engine
        self._vocabulary = vocabulary
        self._special = SpecialTokens.of(vocabulary)
        self._names = names
        self._meter = TextMeter(vocabulary)
        self._grammars = GrammarBuilder(self._special, guide)
        self._clamp_max_tokens = clamp_max_tokens

    def prepare(self, request: ChatRequest, *, clamp_max_tokens: bool) -> ChatJob:
        """See ``ChatService.prepare``."""
        _refuse_unsupported(request, capacity=self._engine.capacity)
        check_biases(request, self._vocabulary)
        tools, continues = offered_tools(request), continues_last_message(request)
        clamp = clamp_max_tokens or self._clamp_max_tokens
        prompt_ids, truncation = self._fitting_prompt(request, clamp=clamp)
        max_new_tokens = new_token_limit(  # before grammars are made of what is too long
            num_prompt_tokens=len(prompt_ids),
            max_new_tokens=request.max_new_tokens,
            context_size=self._engine.context_size,
            param="messages",
            clamp=clamp,
        )
        begun_ids = self._begun_ids(request, tools) if continues else ()
        grammar = self._grammars.build(request, tools, begun_ids=begun_ids)
        if grammar is not None and begun_ids and not self._engine.continues_grammars:
            raise InvalidRequestError(_NO_CONTINUATION, param="messages")
        make_reader = partial(self._reader, request, tools)
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
                max_hidden_tokens=0 if continues else _MAX_HIDDEN_TOKENS,
                stop_token_ids=self._special.stop_ids,
                adapter=adapter,
                num_logprobs=(request.top_logprobs or 0) if request.logprobs else None,
                make_reader=make_reader,
                grammar=grammar,
                begun_ids=begun_ids,
                wants_progress=bool(request.stream and options and options.include_progress),
            ),
            make_reader=make_reader,
            include_usage=bool(options and options.include_usage),
            truncation=truncation,
        )

    def count_prompt_tokens(self, request: ChatRequest) -> int:
        """See ``ChatService.count_prompt_tokens``."""
        return len(self._encode(request, request.messages))

    def _fitting_prompt(
        self, request: ChatRequest, *, clamp: bool
    ) -> tuple[list[int], Truncation | None]:
        """Token ids of the prompt, and what was left out so that it fits, if that was asked for."""
        size = self._engine.context_size
        if request.truncation != "auto":
            return self._encode(request, request.messages, context_size=size), None
        prompt_ids = self._encode(request, request.messages)
        num_excess = len(prompt_ids) - (size - self._num_reserved(request, clamp=clamp))
        if num_excess <= 0:
            return prompt_ids, None
        sizes = self._message_sizes(request.messages)
        kept = drop_oldest(request.messages, sizes, num_excess=num_excess)
        if not kept.num_dropped_messages:
            return prompt_ids, None
        return self._encode(request, kept.messages, context_size=size), Truncation(
            dropped_messages=kept.num_dropped_messages, dropped_tokens=kept.num_dropped_tokens
        )

    def _num_reserved(self, request: ChatRequest, *, clamp: bool) -> int:
        """Tokens that a shortened conversation has to leave for the reply."""
        num_wanted, default = request.max_new_tokens, reserved_tokens(self._engine.context_size)
        if num_wanted is None:
            return default
        return min(num_wanted, default) if clamp else num_wanted

    def _encode(
        self, request: ChatRequest, messages: list[Message], *, context_size: int | None = None
    ) -> list[int]:
        """Token ids of a prompt, unless it cannot fit a context, if any."""
        tools = offered_tools(request)
        check = partial(self._meter.check, param="messages", context_size=context_size)
        check([json.dumps(tool.function.parameters, separators=(",", ":")) for tool in tools])
        turns = build_turns(messages, tools)
        check([turn.content for turn in turns])
        return encode_turns(
            turns,
            self._vocabulary,
            self._special,
            asks_for_prose=not tools,
            continues_last=continues_last_message(request),
        )

    def _begun_ids(self, request: ChatRequest, tools: list[Tool]) -> tuple[int, ...]:
        """The first tokens of a reply that goes on with the last message, as the model would have
        written them."""
        content_ids = self._vocabulary.tokenize(request.messages[-1].text)
        return (*(self._vocabulary.tokenize("\n") if tools else ()), *content_ids)

    def _message_sizes(self, messages: list[Message]) -> list[int]:
        """Tokens that each message takes in the prompt, system messages apart."""
        return [
            sum(len(encode_turn(turn, self._vocabulary, self._special)) for turn in turns)
            for turns in turns_by_message(messages)
        ]

    def _reader(
        self, request: ChatRequest, tools: list[Tool], stop_strings: tuple[str, ...]
    ) -> PartReader:
        """Reader of one reply's tokens."""
        assistant_id, continues = self._special.assistant, continues_last_message(request)
        parser = ReplyParser(
            assistant_id=assistant_id,
            tool_names={tool.function.name for tool in tools},
            begins_in_prose=not tools,
            continues_prose=continues,
        )
        logprobs = None
        if request.logprobs:
            logprobs = ContentLogprobs(
                self._vocabulary, assistant_id=assistant_id, continues_prose=continues
            )
        return PartReader(stop_strings, parser=parser, logprobs=logprobs)


def _refuse_unsupported(request: ChatRequest, *, capacity: int) -> None:
    """Refuse a field that would be ignored silently, and more choices than the queue ever takes."""
    if (request.n or 1) > capacity:
        message = f"n is at most {capacity} here: all choices run or wait (--parallel, --queue)"
        raise InvalidRequestError(message, param="n")
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidRequestError("top_logprobs needs logprobs: true", param="top_logprobs")
