"""What all requests and replies share."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema


def _fail_fast(schema: Any) -> None:
    """As ``Field(fail_fast=True)`` does, for all lists and dicts in a schema."""
    if isinstance(schema, dict):
        if schema.get("type") in ("list", "dict"):
            schema["fail_fast"] = True
        schema = list(schema.values())
    if isinstance(schema, list | tuple):
        for part in schema:
            _fail_fast(part)


class _Model(BaseModel):
    """Stops at the first wrong item of a list or dict: an error takes far more than the item."""

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
    """A request body: fields this server does not know are ignored, as OpenAI's clients expect."""

    model_config = ConfigDict(extra="ignore")


class ReplyModel(_Model):
    """A reply body."""


class EventModel(ReplyModel):
    """An event of a stream whose events are called by their ``type``."""

    type: str


def is_none(value: object) -> bool:
    """For ``Field(exclude_if=...)``: leaves a field out of the reply where it says nothing."""
    return value is None


class PromptTokensDetails(ReplyModel):
    """Where a prompt's tokens came from: ``cached_tokens`` were in memory already."""

    cached_tokens: int


class CompletionTokensDetails(ReplyModel):
    """What became of the guesses at a reply's tokens: right ones cost no step of their own."""

    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(ReplyModel):
    """Tokens that a request took."""

    prompt_tokens: int
    completion_tokens: int = 0
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = Field(default=None, exclude_if=is_none)
    completion_tokens_details: CompletionTokensDetails | None = Field(
        default=None, exclude_if=is_none
    )
