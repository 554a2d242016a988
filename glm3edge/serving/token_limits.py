"""Token limits of requests, as OpenAI's API counts tokens."""

from glm3edge.errors import ContextLengthExceededError

_MOST_RESERVED = 1024


def new_token_limit(
    *,
    num_prompt_tokens: int,
    max_new_tokens: int | None,
    context_size: int,
    param: str,
    clamp: bool = False,
) -> int:
    """Token limit of a reply: as asked for, or all that is left of the context.

    Args:
        num_prompt_tokens: tokens of the prompt.
        max_new_tokens: limit that was asked for (``max_tokens``), None for as many as fit.
        context_size: most tokens of prompt and reply together.
        param: the request field that the prompt comes from.
        clamp: lower a limit that does not fit, rather than refuse it.

    Raises:
        ContextLengthExceededError: prompt and reply together do not fit, or nothing is left.
    """
    num_left = context_size - num_prompt_tokens
    if max_new_tokens is None or (clamp and max_new_tokens > num_left):
        max_new_tokens = max(num_left, 1)
    if max_new_tokens > num_left:
        raise ContextLengthExceededError(
            num_prompt_tokens=num_prompt_tokens,
            num_new_tokens=max_new_tokens,
            context_size=context_size,
            param=param,
        )
    return max_new_tokens


def reserved_tokens(context_size: int) -> int:
    """Tokens to reserve for a reply of unknown length: a quarter of the context, at most 1024."""
    return min(context_size // 4, _MOST_RESERVED)
