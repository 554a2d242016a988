"""Base models of requests, replies and events, and usage."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


def _adapt(schema: Any) -> None:
    """Set in all parts of a schema what a field of it would have to say each time.

    Lists and dicts have ``fail_fast``. Numbers and booleans are those of JSON: ``"5"`` and ``true``
    are no numbers, ``1`` is no boolean, and ``5.0`` is an integer, as in JSON Schema.
    """
    if isinstance(schema, dict):
        kind = schema.get("type")
        if kind in ("list", "dict"):
            schema["fail_fast"] = True
        elif kind in ("float", "bool"):
            schema.setdefault("strict", True)
        elif kind == "int" and "strict" not in schema:
            lax = {**schema, "strict": False}
            schema.clear()
            schema |= core_schema.no_info_before_validator_function(_check_number, lax)
            return
        schema = list(schema.values())
    if isinstance(schema, list | tuple):
        for part in schema:
            _adapt(part)


def _check_number(value: object) -> object:
    if isinstance(value, bool | str):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


class _Model(BaseModel):
    """Model that stops at the first wrong item of a list or dict: errors are larger than items."""

    # Errors end in logs, and values are prompts.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        _adapt(schema)
        return schema


class RequestModel(_Model):
    """A request body, or an object in one. A field that is null counts as not given.

    Unknown fields are ignored, as OpenAI's clients expect.
    """

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {name: field for name, field in value.items() if field is not None}


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

    # The times, of the first reply, are for other routes: they are not sent.

    prompt_tokens: int
    completion_tokens: int = 0
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = Field(default=None, exclude_if=is_none)
    completion_tokens_details: CompletionTokensDetails | None = Field(
        default=None, exclude_if=is_none
    )
    prefill_seconds: float = Field(default=0.0, exclude=True)
    decode_seconds: float = Field(default=0.0, exclude=True)
