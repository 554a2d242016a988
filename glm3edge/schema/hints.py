"""Fields of OpenAI's requests that have no effect here, and those that only a cloud supports."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from glm3edge.schema.base import RequestModel
from glm3edge.schema.checks import refusal, refused
from glm3edge.schema.content import Content

Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
    Field(max_length=16),
]


def _refuse_audio(value: object) -> object:
    if isinstance(value, list) and "audio" in value:
        raise refusal('ChatGLM3 writes text only: use ["text"], or leave the field out')
    return value


class Prediction(RequestModel):
    """Expected content of the reply."""

    type: Literal["content"]
    content: Content


class PromptCacheOptions(RequestModel):
    """Options of prompt caching, which this server does in any case."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None


class Hints(RequestModel):
    """Fields that are checked and then ignored, and fields that are refused unless null.

    Ignored are labels for a provider's records (``user``, ``metadata``, ``store``, ...), hints that
    this server does not need (``prediction``, ``prompt_cache_...``) and options that the model was
    not trained for (``reasoning_effort``, ``verbosity``).
    """

    user: str | None = None
    metadata: Metadata | None = None
    store: bool | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: PromptCacheOptions | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    prediction: Prediction | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = (
        None
    )
    verbosity: Literal["low", "medium", "high"] | None = None
    modalities: Annotated[list[Literal["text"]], BeforeValidator(_refuse_audio)] | None = None
    audio: Annotated[
        None, refused("ChatGLM3 writes text only: leave audio out and speak the reply yourself")
    ] = None
    web_search_options: Annotated[
        None, refused("this server does not search the web: offer a search function in tools")
    ] = None
    moderation: Annotated[
        None, refused("this server has no moderation model: check texts before and after")
    ] = None
