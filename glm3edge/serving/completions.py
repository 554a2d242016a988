"""Text completions: prepares prompts, runs them, returns the texts whole or streamed."""

import asyncio
import math
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from glm3edge.chatglm3.text_logprobs import TextLogprobs, joined
from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary, check_token_ids, text_of
from glm3edge.core import FinishReason, GenerationFinished, TokenEvent
from glm3edge.engine.async_stream import gather, merge, stream_events
from glm3edge.engine.interface import InferenceEngine
from glm3edge.engine.request import GenerationRequest
from glm3edge.errors import GrammarError, InvalidRequestError
from glm3edge.limits import MAX_GRAMMAR_SYMBOLS, MAX_RULE_DEPTH, MAX_TEXTS
from glm3edge.llama.grammar_cost import num_symbols, rule_depth
from glm3edge.llama.guidance import Guide
from glm3edge.schema.base import Usage
from glm3edge.schema.completions import (
    CompletionChoice,
    CompletionLogprobs,
    CompletionReply,
    CompletionRequest,
    CompletionUsageChunk,
)
from glm3edge.serving.generation import ModelNames, check_biases, generation_requests, usage
from glm3edge.serving.streams import closing_on_exit
from glm3edge.serving.text_limits import TextMeter, check_text_bytes
from glm3edge.serving.token_limits import new_token_limit

DEFAULT_MAX_TOKENS = 16
"""Token limit of a request that has none: OpenAI's default."""

_Prompt = str | list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextJob:
    """A checked request, ready to run.

    Attributes:
        id: of the completion.
        created: Unix time, in seconds.
        model: name of the model or adapter that replies.
        generations: those of the first prompt, then those of the second, and so on.
        num_choices: generations for each prompt.
        echoes: text that each generation's text begins with.
        num_at_once: generations that run side by side.
        include_usage: whether a stream ends with usage.
        reports_ids: whether the reply has the token ids.
        names_ids: whether log probabilities have them in place of the tokens' texts.
    """

    id: str
    created: int
    model: str
    generations: tuple[GenerationRequest, ...]
    num_choices: int
    echoes: tuple[str, ...]
    num_at_once: int
    include_usage: bool
    reports_ids: bool
    names_ids: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """More text of a choice, its tokens, and the ending if it is the last part."""

    text: str
    logprobs: CompletionLogprobs | None = None
    token_ids: list[int] | None = None
    end: GenerationFinished | None = None


class CompletionService:
    """Text completions of one model and its adapters, as in OpenAI's older API.

    A prompt is the model's prefix (``[gMASK] sop``) and the text's tokens, with no role: text that
    spells a control token stays text. Any role's tag ends the reply, as it ends a turn in a chat.
    """

    def __init__(
        self,
        engine: InferenceEngine,
        vocabulary: Vocabulary,
        *,
        model_id: str,
        adapter_ids: Sequence[str] = (),
        guide: Guide | None = None,
        clamp_max_tokens: bool = False,
    ) -> None:
        """Arguments are those of ``ChatService``."""
        self._engine = engine
        self._guide = guide
        self._clamp_max_tokens = clamp_max_tokens
        self._vocabulary = vocabulary
        self._meter = TextMeter(vocabulary)
        self._special = SpecialTokens.of(vocabulary)
        self._stop_ids = self._special.stop_ids | {self._special.assistant, self._special.system}
        self._names = ModelNames(model_id, tuple(adapter_ids))

    def prepare(self, request: CompletionRequest, *, clamp_max_tokens: bool = False) -> TextJob:
        """Check a request and encode its prompts. May take a while; blocks.

        ``clamp_max_tokens`` is as in ``ChatService.prepare``.

        Raises:
            InvalidRequestError: a field asks for what this server cannot do.
            ContextLengthExceededError: a prompt and its reply do not fit the context.
        """
        _refuse_unsupported(request)
        check_biases(request, self._vocabulary)
        check_token_ids(request.stop_token_ids or (), self._vocabulary, param="stop_token_ids")
        prompts = _prompts(request)
        num_choices = request.n or 1
        _check_amount(prompts, num_choices)
        model, adapter = self._names.find(request.model)
        generations = [
            generation
            for prompt in prompts
            for generation in self._generation_requests(
                request,
                self._encode(prompt),
                adapter,
                clamp=clamp_max_tokens or self._clamp_max_tokens,
            )
        ]
        echoes = [
            text for prompt in prompts for text in [self._echo(prompt, request)] * num_choices
        ]
        self._check_grammar(request)
        options = request.stream_options
        return TextJob(
            id=f"cmpl-{uuid.uuid4().hex}",
            created=int(time.time()),
            model=model,
            generations=tuple(generations),
            num_choices=num_choices,
            echoes=tuple(echoes),
            num_at_once=min(len(generations), self._engine.max_running),
            include_usage=bool(options and options.include_usage),
            reports_ids=bool(request.return_token_ids),
            names_ids=bool(request.return_tokens_as_token_ids),
        )

    async def complete(self, job: TextJob) -> CompletionReply:
        """Run ``job`` and return the whole reply."""
        places = asyncio.Semaphore(job.num_at_once)
        numbers = range(len(job.generations))
        made = await gather(self._choice(job, number, places) for number in numbers)
        choices = [choice for choice, _ in made]
        return self._reply(job, choices, _usage(job, [end for _, end in made]))

    async def stream(self, job: TextJob) -> AsyncGenerator[CompletionReply, None]:
        """Run ``job`` and yield the reply in parts; the last of a choice has its finish reason.

        The usage comes last, if it was asked for.
        """
        places = asyncio.Semaphore(job.num_at_once)
        numbers = range(len(job.generations))
        ends: dict[int, GenerationFinished] = {}
        async with closing_on_exit(merge([self._run(job, n, places) for n in numbers])) as parts:
            async for number, part in parts:
                if part.end is not None:
                    ends[number] = part.end
                yield self._reply(job, [_choice(number, part)])
        if job.include_usage:
            yield self._reply(job, [], _usage(job, [ends[number] for number in numbers]))

    async def _choice(
        self, job: TextJob, number: int, places: asyncio.Semaphore
    ) -> tuple[CompletionChoice, GenerationFinished]:
        """One whole choice, and its ending."""
        async with closing_on_exit(self._run(job, number, places)) as parts:
            made = [part async for part in parts]
        text = "".join(part.text for part in made)
        logprobs = [part.logprobs for part in made if part.logprobs is not None]
        wants_logprobs = job.generations[number].num_logprobs is not None
        token_ids = [token_id for part in made for token_id in part.token_ids or ()]
        end = made[-1].end
        assert end is not None  # noqa: S101 - for the type checker; every generation has an ending
        whole = _Part(
            text,
            joined(logprobs) if wants_logprobs else None,
            token_ids if job.reports_ids else None,
            end,
        )
        return _choice(number, whole), end

    async def _run(
        self, job: TextJob, number: int, places: asyncio.Semaphore
    ) -> AsyncGenerator[_Part, None]:
        """Run one generation: parts that are not empty, then the one with the ending."""
        if job.echoes[number]:
            yield _Part(job.echoes[number])
        generation = job.generations[number]
        logprobs = TextLogprobs(self._vocabulary, as_ids=job.names_ids)
        num_chars = 0
        events = stream_events(
            partial(self._engine.generate, generation), waits=number >= job.num_at_once
        )
        async with places, closing_on_exit(events):
            async for arrived in events:
                for event in arrived:
                    if isinstance(event, TokenEvent):
                        logprobs.feed(event)
                text = "".join(event.text for event in arrived)
                num_chars += len(text)
                end = arrived[-1] if isinstance(arrived[-1], GenerationFinished) else None
                token_ids = _token_ids(arrived) if job.reports_ids else None
                taken = logprobs.take(math.inf if job.reports_ids else num_chars)
                part = _Part(text, taken, token_ids, end)
                if part.text or part.logprobs or part.token_ids or part.end:
                    yield part

    def _check_grammar(self, request: CompletionRequest) -> None:
        if request.structured_outputs is None:
            return
        param, grammar = "structured_outputs.grammar", request.structured_outputs.grammar
        if self._guide is None:
            raise InvalidRequestError(f"{param} needs a model", param=param)
        if rule_depth(grammar) > MAX_RULE_DEPTH:
            message = f"{param} has more than {MAX_RULE_DEPTH} rules that each refer to the next"
            raise InvalidRequestError(f"{message}: use repetition instead", param=param)
        if num_symbols(grammar) > MAX_GRAMMAR_SYMBOLS:
            message = f"{param} has more than {MAX_GRAMMAR_SYMBOLS} names and texts"
            raise InvalidRequestError(f"{message}: make it smaller", param=param)
        try:
            self._guide.matcher(grammar)
        except GrammarError as exc:
            raise InvalidRequestError(f"{param} cannot be followed: {exc}", param=param) from exc

    def _encode(self, prompt: _Prompt) -> list[int]:
        prefix = list(self._special.prefix)
        if isinstance(prompt, str):
            size = self._engine.context_size
            self._meter.check([prompt], param="prompt", context_size=size)
            return prefix + self._vocabulary.tokenize(prompt)
        check_token_ids(prompt, self._vocabulary, param="prompt")
        return prompt if prompt[: len(prefix)] == prefix else prefix + prompt

    def _echo(self, prompt: _Prompt, request: CompletionRequest) -> str:
        if not request.echo:
            return ""
        if isinstance(prompt, str):
            return prompt.encode("utf-8", errors="replace").decode()  # as it is tokenized
        return text_of(prompt, self._vocabulary)

    def _generation_requests(
        self, request: CompletionRequest, prompt_ids: list[int], adapter: int, *, clamp: bool
    ) -> tuple[GenerationRequest, ...]:
        """Generations of one prompt, one for each choice."""
        limit = new_token_limit(
            num_prompt_tokens=len(prompt_ids),
            max_new_tokens=request.max_tokens,
            context_size=self._engine.context_size,
            param="prompt",
            clamp=clamp,
        )
        return generation_requests(
            request,
            prompt_ids,
            max_new_tokens=limit if request.max_tokens else min(limit, DEFAULT_MAX_TOKENS),
            stop_token_ids=self._stop_ids_of(request),
            adapter=adapter,
            num_logprobs=request.logprobs,
            grammar=request.structured_outputs.grammar if request.structured_outputs else None,
        )

    def _stop_ids_of(self, request: CompletionRequest) -> frozenset[int]:
        if request.stop_token_ids is None:
            return self._stop_ids
        return frozenset({self._special.eos, *request.stop_token_ids})

    def _reply(
        self, job: TextJob, choices: list[CompletionChoice], tokens: Usage | None = None
    ) -> CompletionReply:
        kind = CompletionUsageChunk if job.include_usage else CompletionReply
        return kind(id=job.id, created=job.created, model=job.model, choices=choices, usage=tokens)


def _refuse_unsupported(request: CompletionRequest) -> None:
    """Refuse fields that would otherwise be ignored silently."""
    if request.suffix:
        message = "suffix is not supported: the model only continues a prompt and cannot fill gaps"
        raise InvalidRequestError(message, param="suffix")
    if (request.best_of or 1) > 1:
        message = "best_of is not supported: ask for n choices and their logprobs, and choose"
        raise InvalidRequestError(message, param="best_of")
    if request.echo and request.logprobs is not None:
        message = "logprobs are of the reply only: leave out echo, and put the prompt before it"
        raise InvalidRequestError(message, param="logprobs")


def _check_amount(prompts: Sequence[_Prompt], num_choices: int) -> None:
    if len(prompts) * num_choices > MAX_TEXTS:
        message = f"prompts times n are at most {MAX_TEXTS}: send several requests"
        raise InvalidRequestError(message, param="n")
    check_text_bytes((prompt for prompt in prompts if isinstance(prompt, str)), param="prompt")


def _prompts(request: CompletionRequest) -> Sequence[_Prompt]:
    given: Any = request.prompt or ""  # one text, one list of token ids, or a list of either
    is_one = isinstance(given, str) or isinstance(given[0], int)
    return [given] if is_one else given


def _token_ids(events: Sequence[Any]) -> list[int]:
    """Sampled tokens of ``events``, the one that ended the text included."""
    found = (
        event.token_id if isinstance(event, TokenEvent) else event.stop_token_id for event in events
    )
    return [token_id for token_id in found if token_id is not None]


def _choice(number: int, part: _Part) -> CompletionChoice:
    return CompletionChoice(
        index=number,
        text=part.text,
        logprobs=part.logprobs,
        token_ids=part.token_ids,
        finish_reason=None if part.end is None else _finish_reason(part.end),
    )


def _finish_reason(end: GenerationFinished) -> Literal["stop", "length"]:
    return "length" if end.reason is FinishReason.LENGTH else "stop"


def _usage(job: TextJob, ends: Sequence[GenerationFinished]) -> Usage:
    """Usage of all prompts; ``ends`` are those of ``job.generations``, in their order."""
    starts = range(0, len(ends), job.num_choices)
    return usage(
        (len(job.generations[start].prompt_ids), ends[start : start + job.num_choices])
        for start in starts
    )
