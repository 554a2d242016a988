"""Text completions: prepares prompts, runs them, returns the texts whole or streamed."""

import asyncio
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
from glm3edge.engine.sequence import GenerationRequest
from glm3edge.errors import InvalidRequestError
from glm3edge.limits import MAX_TEXTS
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
    """

    id: str
    created: int
    model: str
    generations: tuple[GenerationRequest, ...]
    num_choices: int
    echoes: tuple[str, ...]
    num_at_once: int
    include_usage: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """More text of a choice, the tokens that begin in it, and the ending if it is the last part."""

    text: str
    logprobs: CompletionLogprobs | None = None
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
        clamp_max_tokens: bool = False,
    ) -> None:
        """Arguments are those of ``ChatService``."""
        self._engine = engine
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
                yield self._reply(job, [_choice(number, part.text, part.logprobs, part.end)])
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
        end = made[-1].end
        assert end is not None  # noqa: S101 - for the type checker; every generation has an ending
        return _choice(number, text, joined(logprobs) if wants_logprobs else None, end), end

    async def _run(
        self, job: TextJob, number: int, places: asyncio.Semaphore
    ) -> AsyncGenerator[_Part, None]:
        """Run one generation: parts that are not empty, then the one with the ending."""
        if job.echoes[number]:
            yield _Part(job.echoes[number])
        generation = job.generations[number]
        logprobs = TextLogprobs(self._vocabulary)
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
                part = _Part(text, logprobs.take(num_chars), end)
                if part.text or part.logprobs or part.end:
                    yield part

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
            stop_token_ids=self._stop_ids,
            adapter=adapter,
            num_logprobs=request.logprobs,
        )

    def _reply(
        self, job: TextJob, choices: list[CompletionChoice], tokens: Usage | None = None
    ) -> CompletionReply:
        kind = CompletionUsageChunk if job.include_usage else CompletionReply
        return kind(id=job.id, created=job.created, model=job.model, choices=choices, usage=tokens)


def _refuse_unsupported(request: CompletionRequest) -> None:
    """Refuse fields that would otherwise be ignored silently."""
    if request.suffix:
        message = "suffix is not supported: the model goes on from a prompt and fills no gaps"
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


def _choice(
    number: int, text: str, logprobs: CompletionLogprobs | None, end: GenerationFinished | None
) -> CompletionChoice:
    return CompletionChoice(
        index=number,
        text=text,
        logprobs=logprobs,
        finish_reason=None if end is None else _finish_reason(end),
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
