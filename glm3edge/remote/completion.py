"""Bodies of ``/v1/completions`` with token ids in and out, as vLLM and glm3edge take them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from glm3edge.core import Priority, TokenLogprobs
from glm3edge.engine.request import GenerationRequest

_ID = "token_id:"


def body_of(
    request: GenerationRequest, *, model: str, context_size: int, names_priority: bool
) -> dict[str, Any]:
    """Body of a streamed request. Stop strings, text and hidden tokens stay with the caller.

    Args:
        request: what is to be generated.
        model: name of the model or adapter.
        context_size: tokens that prompt and reply may have.
        names_priority: whether the server has names for priorities, as glm3edge, or numbers.
    """
    limit = request.max_new_tokens + request.max_hidden_tokens
    sampling = asdict(request.sampling)
    biases, seed = sampling.pop("logit_bias"), sampling.pop("seed")
    body = {
        "model": model,
        "prompt": list(request.prompt_ids),
        "max_tokens": min(limit, context_size - len(request.prompt_ids)),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_token_ids": True,
        "stop_token_ids": sorted(request.stop_token_ids),
        **sampling,
    }
    if seed is not None:
        body["seed"] = seed
    if biases:
        body["logit_bias"] = {str(token_id): bias for token_id, bias in biases}
    if request.num_logprobs is not None:
        body |= {"logprobs": request.num_logprobs, "return_tokens_as_token_ids": True}
    if request.grammar is not None:
        body["structured_outputs"] = {"grammar": request.grammar}
    if request.priority is Priority.BACKGROUND:
        body["priority"] = "background" if names_priority else int(request.priority)
    return body


def sampled_tokens(
    choice: Mapping[str, Any], num_top: int | None
) -> Iterator[tuple[int, Callable[[], TokenLogprobs] | None]]:
    """Tokens of a chunk's choice, with what reads their log probabilities, if they have any."""
    found = choice.get("logprobs") or {}
    num_known = 0 if num_top is None else len(found.get("token_logprobs") or ())
    for index, token_id in enumerate(choice.get("token_ids") or ()):
        read = partial(_logprobs, found, index, num_top or 0) if index < num_known else None
        yield token_id, read


def _logprobs(found: Mapping[str, Any], index: int, num_top: int) -> TokenLogprobs:
    items = found["top_logprobs"][index].items()
    top = sorted(((int(name.removeprefix(_ID)), value) for name, value in items), key=_by_value)
    return TokenLogprobs(found["token_logprobs"][index], tuple(top[:num_top]))


def _by_value(item: tuple[int, float]) -> float:
    return -item[1]


def usage_in(chunk: Mapping[str, Any]) -> dict[str, int]:
    """Fields of ``GenerationFinished`` that the usage in a chunk tells of, if it has any."""
    usage = chunk.get("usage") or {}
    prompt = usage.get("prompt_tokens_details") or {}
    reply = usage.get("completion_tokens_details") or {}
    found = {
        "num_cached_tokens": prompt.get("cached_tokens"),
        "num_accepted_drafts": reply.get("accepted_prediction_tokens"),
        "num_rejected_drafts": reply.get("rejected_prediction_tokens"),
    }
    return {name: number for name, number in found.items() if number}
