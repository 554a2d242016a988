"""Generations and usage, as chat and text completions share them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from glm3edge.chatglm3.vocabulary import Vocabulary, check_token_ids
from glm3edge.core import GenerationFinished, Priority, SamplingParams
from glm3edge.engine.request import GenerationRequest, Reader
from glm3edge.engine.text_stream import TextReader
from glm3edge.schema.base import CompletionTokensDetails, PromptTokensDetails, Usage
from glm3edge.schema.sampling import SamplingOptions


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Names that requests can have in ``model``: that of the model, and those of its adapters.

    An adapter has the name of its file or folder. Every other name stands for the model alone, so
    that clients whose settings have another name work.
    """

    base: str
    adapters: tuple[str, ...] = ()

    def find(self, wanted: str) -> tuple[str, int]:
        """Name of the model or adapter that serves ``wanted``, and the backend's adapter number."""
        if wanted in self.adapters:
            return wanted, self.adapters.index(wanted) + 1
        return self.base, 0


def check_biases(options: SamplingOptions, vocabulary: Vocabulary) -> None:
    """Check the token ids in ``logit_bias``.

    Raises:
        InvalidRequestError: there is no such token.
    """
    check_token_ids(map(int, options.logit_bias or ()), vocabulary, param="logit_bias")


def generation_requests(
    options: SamplingOptions,
    prompt_ids: Sequence[int],
    *,
    max_new_tokens: int,
    max_hidden_tokens: int = 0,
    stop_token_ids: frozenset[int],
    adapter: int = 0,
    num_logprobs: int | None = None,
    make_reader: Callable[[tuple[str, ...]], Reader] = TextReader,
    grammar: str | None = None,
    begun_ids: tuple[int, ...] = (),
    wants_progress: bool = False,
) -> tuple[GenerationRequest, ...]:
    """Generation requests for the ``n`` choices of one prompt.

    Each has a seed of its own. Only the first reports progress, if that is wanted.
    """
    sampling = _sampling(options)
    first = GenerationRequest(
        prompt_ids=prompt_ids,
        max_new_tokens=max_new_tokens,
        max_hidden_tokens=max_hidden_tokens,
        sampling=sampling,
        stop_token_ids=stop_token_ids,
        stop_strings=options.stop_strings,
        num_logprobs=num_logprobs,
        priority=Priority[(options.priority or "interactive").upper()],
        adapter=adapter,
        make_reader=make_reader,
        grammar=grammar,
        begun_ids=begun_ids,
    )
    seed = sampling.seed
    others = (
        first if seed is None else replace(first, sampling=replace(sampling, seed=seed + number))
        for number in range(1, options.n or 1)
    )
    return (replace(first, wants_progress=wants_progress), *others)


def usage(prompts: Iterable[tuple[int, Sequence[GenerationFinished]]]) -> Usage:
    """Tokens of all ``prompts``.

    ``prompts`` are pairs: number of tokens, and endings of the replies. A prompt counts once,
    however many replies it has. Tokens that the client does not see count: they were computed.
    """
    num_prompt_tokens = num_cached_tokens = 0
    ends: list[GenerationFinished] = []
    for num_tokens, ends_of_prompt in prompts:
        num_prompt_tokens += num_tokens
        num_cached_tokens += min(end.num_cached_tokens for end in ends_of_prompt)
        ends += ends_of_prompt
    num_completion_tokens = sum(end.num_completion_tokens for end in ends)
    return Usage(
        prompt_tokens=num_prompt_tokens,
        completion_tokens=num_completion_tokens,
        total_tokens=num_prompt_tokens + num_completion_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=num_cached_tokens),
        completion_tokens_details=CompletionTokensDetails(
            accepted_prediction_tokens=sum(end.num_accepted_drafts for end in ends),
            rejected_prediction_tokens=sum(end.num_rejected_drafts for end in ends),
        ),
        prefill_seconds=ends[0].prefill_seconds,
        decode_seconds=ends[0].decode_seconds,
    )


def _sampling(options: SamplingOptions) -> SamplingParams:
    given = {
        name: value
        for name in SamplingParams.__dataclass_fields__
        if name != "logit_bias" and (value := getattr(options, name)) is not None
    }
    biases = tuple((int(token_id), bias) for token_id, bias in (options.logit_bias or {}).items())
    return SamplingParams(**given, logit_bias=biases)
