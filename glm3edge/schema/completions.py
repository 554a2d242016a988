"""POST /v1/completions, OpenAI's older route: text that goes on where a prompt ends."""

from typing import Annotated, Literal

from pydantic import Field

from glm3edge.schema.base import ReplyModel, Usage, is_none
from glm3edge.schema.chat import StreamOptions
from glm3edge.schema.sampling import SamplingOptions
from glm3edge.schema.tokens import TokenIds

MAX_PROMPTS = 2048


class CompletionRequest(SamplingOptions):
    """Prompts to go on from: texts or lists of token ids. Without one, any text may come.

    A field that is null counts as not given; without ``max_tokens`` 16 tokens come, as at OpenAI's.
    """

    model: str = ""
    prompt: (
        str
        | TokenIds
        | Annotated[list[str], Field(min_length=1, max_length=MAX_PROMPTS)]
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_PROMPTS)]
        | None
    ) = None
    echo: bool | None = None
    suffix: str | None = None
    best_of: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None


class CompletionLogprobs(ReplyModel):
    """Probabilities of a choice's tokens: natural logarithms, before sampling.

    All lists have one item for each token. ``top_logprobs`` has the most probable tokens and the
    one that came, ``text_offset`` where a token begins in the choice's text, in characters. A token
    that is no text by itself, being part of a character, is written ``bytes:\\xe4``.
    """

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(ReplyModel):
    """What follows a prompt, or in a stream more of it.

    ``index`` counts the ``n`` choices of the first prompt, then those of the second, and so on.
    """

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: Literal["stop", "length"] | None


class CompletionReply(ReplyModel):
    """Text completions, or an event of a stream of them."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = Field(default=None, exclude_if=is_none)
