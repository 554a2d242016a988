"""Base models of requests, replies and events, and usage."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema


def _fail_fast(schema: Any) -> None:
    """Set ``fail_fast``, as ``Field(fail_fast=True)`` does, for all lists and dicts in a schema."""
    if isinstance(schema, dict):
        if schema.get("type") in ("list", "dict"):
            schema["fail_fast"] = True
        schema = list(schema.values())
    if isinstance(schema, list | tuple):
        for part in schema:
            _fail_fast(part)


class _Model(BaseModel):
    """Model that stops at the first wrong item of a list or dict: errors are larger than items."""

    # Errors end in logs, and values are prompts.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        _fail_fast(schema)
        return schema


class RequestModel(_Model):
    """A request body. Unknown fields are ignored, as OpenAI's clients expect."""

    model_config = ConfigDict(extra="ignore")


class ReplyModel(_Model):
    """A reply body."""


class EventModel(ReplyModel):
    """An event of a stream in which events are named by their ``type``."""

    type: str


def is_none(value: object) -> bool:
    """Whether ``value`` is None; with ``Field(exclude_if=...)`` the field is then left out."""
    return value is None


class PromptTokensDetails(ReplyModel):
    """Source of the prompt's tokens: ``cached_tokens`` were in the KV cache."""

    cached_tokens: int


class CompletionTokensDetails(ReplyModel):
    """Drafted tokens of the reply: accepted ones needed no step of their own."""

    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(ReplyModel):
    """Tokens that a request used."""

    prompt_tokens: int
    completion_tokens: int = 0
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = Field(default=None, exclude_if=is_none)
    completion_tokens_details: CompletionTokensDetails | None = Field(
        default=None, exclude_if=is_none
    )
