"""Models of the items of /v1/responses: messages, calls and results.

A reply's output may be a part of the next request's input, so both have the same models. An item
without an id gets one.
"""

import json
import uuid
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from glm3edge.schema.base import RequestModel, is_none
from glm3edge.schema.chat import TokenLogprob, ToolName

ItemStatus = Literal["in_progress", "completed", "incomplete"]


def new_id(prefix: str) -> str:
    """A new id: ``prefix``, such as ``msg``, and 32 hex digits."""
    return f"{prefix}_{uuid.uuid4().hex}"


def _text_type(meant: str) -> BeforeValidator:
    """Accept either name of a text part, as the one that is right in this place."""

    def check(value: object) -> str:
        if value in ("input_text", "output_text"):
            return meant
        message = "this model reads text only: parts are of the type {meant}"
        raise PydanticCustomError("unsupported", message, {"meant": meant})

    return BeforeValidator(check)


def _parts_of(content: object) -> object:
    """A string is short for one part of text."""
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content


class InputText(RequestModel):
    """Text that the model reads."""

    type: Annotated[Literal["input_text"], _text_type("input_text")]
    text: str


class OutputText(RequestModel):
    """Text that the model has written. ``annotations`` is always empty in replies."""

    type: Annotated[Literal["output_text"], _text_type("output_text")] = "output_text"
    text: str
    annotations: list[dict[str, Any]] = Field(default_factory=list)
    logprobs: list[TokenLogprob] | None = Field(default=None, exclude_if=is_none)


InputTexts = Annotated[
    list[InputText], BeforeValidator(_parts_of, json_schema_input_type=str | list[InputText])
]
OutputTexts = Annotated[
    list[OutputText], BeforeValidator(_parts_of, json_schema_input_type=str | list[OutputText])
]


class InputMessage(RequestModel):
    """A message of the user, or instructions."""

    id: str = Field(default_factory=lambda: new_id("msg"))
    type: Literal["message"] = "message"
    role: Literal["user", "system", "developer"]
    content: InputTexts
    status: ItemStatus = "completed"


class OutputMessage(RequestModel):
    """A message of the assistant."""

    id: str = Field(default_factory=lambda: new_id("msg"))
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    content: OutputTexts
    status: ItemStatus = "completed"


class FunctionCall(RequestModel):
    """A function call; ``arguments`` is JSON text, which breaks off if the call is incomplete.

    The result refers to ``call_id``.
    """

    id: str = Field(default_factory=lambda: new_id("fc"))
    type: Literal["function_call"] = "function_call"
    status: ItemStatus = "completed"
    call_id: str
    name: ToolName
    arguments: str

    @field_validator("arguments")
    @classmethod
    def _check_arguments(cls, arguments: str, info: ValidationInfo) -> str:
        if info.data.get("status") == "incomplete":
            return arguments
        try:
            is_object = isinstance(json.loads(arguments or "{}"), dict)
        except (ValueError, RecursionError):
            is_object = False
        if not is_object:
            raise PydanticCustomError("json_object", "the arguments of a call are a JSON object")
        return arguments


class FunctionCallOutput(RequestModel):
    """Result of a function call."""

    id: str = Field(default_factory=lambda: new_id("fc"))
    type: Literal["function_call_output"] = "function_call_output"
    call_id: str
    output: InputTexts
    status: ItemStatus = "completed"


def _kind(item: Any) -> str | None:
    """Name of the model of an item. Messages need no ``type``."""
    if isinstance(item, RequestModel):
        return type(item).__name__
    if not isinstance(item, dict):
        return None
    kind = item.get("type")
    if kind in (None, "message"):
        return "OutputMessage" if item.get("role") == "assistant" else "InputMessage"
    if kind == "function_call":
        return "FunctionCall"
    return "FunctionCallOutput" if kind == "function_call_output" else None


Item = Annotated[
    Annotated[InputMessage, Tag("InputMessage")]
    | Annotated[OutputMessage, Tag("OutputMessage")]
    | Annotated[FunctionCall, Tag("FunctionCall")]
    | Annotated[FunctionCallOutput, Tag("FunctionCallOutput")],
    Discriminator(
        _kind,
        custom_error_type="unsupported",
        custom_error_message="items are of the type message, function_call or function_call_output",
    ),
]
OutputItem = OutputMessage | FunctionCall
