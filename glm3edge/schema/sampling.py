"""Sampling options, which all requests for text share."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from glm3edge.schema.base import RequestModel
from glm3edge.schema.tokens import TokenIdText


def _stop_tag(value: object) -> str:
    return "<list>" if isinstance(value, list) else "<string>"


Stop = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[str], Field(max_length=16), Tag("<list>")],
    Discriminator(_stop_tag),
]
"""A stop string, or several."""


class TokenChoice(RequestModel):
    """Sampling options of every request for text.

    ``top_k``, ``min_p`` and ``repetition_penalty`` are not OpenAI's; the official ChatGLM3 server
    and others have them. ``priority`` is this server's own: background requests wait for
    interactive ones.
    """

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: int | None = None
    priority: Literal["interactive", "background"] | None = None


class SamplingOptions(TokenChoice):
    """Sampling options of chat and text completions."""

    n: Annotated[int, Field(ge=1, le=64)] | None = None
    stop: Stop | None = None
    logit_bias: dict[TokenIdText, Annotated[float, Field(ge=-100, le=100)]] | None = None

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """Strings that end the reply."""
        if isinstance(self.stop, str):
            return (self.stop,)
        return tuple(self.stop or ())
