"""Models of POST /v1/completions, OpenAI's older API: text that continues a prompt."""

from typing import Annotated, Literal

from pydantic import Field

from glm3edge.limits import MAX_GRAMMAR_CHARS
from glm3edge.schema.base import ReplyModel, RequestModel, Usage, is_none
from glm3edge.schema.chat import StreamOptions
from glm3edge.schema.sampling import SamplingOptions
from glm3edge.schema.tokens import Texts, TokenId


class StructuredOutputs(RequestModel):
    """What the text must follow: a grammar in llguidance's dialect of Lark."""

    grammar: Annotated[str, Field(max_length=2 * MAX_GRAMMAR_CHARS)]


class CompletionRequest(SamplingOptions):
    """Prompts to continue: texts or lists of token ids. Without one the model writes any text.

    ``max_tokens`` is 16 by default, as in OpenAI's API.

    ``return_token_ids``, ``return_tokens_as_token_ids``, ``stop_token_ids`` and
    ``structured_outputs`` are vLLM's. A text ends at the tags of all roles, or else at the
    ``stop_token_ids``, and at ``</s>`` in any case.
    """

    model: str = ""
    prompt: Texts | None = None
    echo: bool | None = None
    suffix: str | None = None
    best_of: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    return_token_ids: bool | None = None
    return_tokens_as_token_ids: bool | None = None
    stop_token_ids: list[TokenId] | None = None
    structured_outputs: StructuredOutputs | None = None


class CompletionLogprobs(ReplyModel):
    """Log probabilities of a choice's tokens: natural logarithms, before sampling.

    All lists have one item for each token. ``top_logprobs`` has the most probable tokens and the
    sampled one, ``text_offset`` the position of the token in the choice's text, in characters. A
    token that is part of a character is written ``bytes:\\xe4``, and every token ``token_id:5`` if
    ``return_tokens_as_token_ids`` says so.
    """

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(ReplyModel):
    """Text that continues a prompt, or in a stream more of it.

    ``index`` counts the ``n`` choices of the first prompt, then those of the second, and so on.
    ``token_ids`` are all sampled tokens, the one that ended the text included; they and their
    log probabilities come at once, while text may be held back.
    """

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    token_ids: list[int] | None = Field(default=None, exclude_if=is_none)
    finish_reason: Literal["stop", "length"] | None


class CompletionReply(ReplyModel):
    """Text completions, or a chunk of a stream of them."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = Field(default=None, exclude_if=is_none)


class CompletionUsageChunk(CompletionReply):
    """A chunk of a stream that ends with usage: until then it is null."""

    usage: Usage | None = None
