"""Models of the items of /v1/responses: messages, calls and results.

A reply's output may be a part of the next request's input, so both have the same models. An item
without an id gets one.
"""

import uuid
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from glm3edge.schema.base import RequestModel, is_none
from glm3edge.schema.chat import TokenLogprob
from glm3edge.schema.checks import kind_of
from glm3edge.schema.response_tools import ToolReference

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
    """Text that the model has written, or a refusal, which it reads as text.

    ``annotations`` is always empty in replies.
    """

    type: Annotated[Literal["output_text"], _text_type("output_text")] = "output_text"
    text: str
    annotations: list[dict[str, Any]] = Field(default_factory=list)
    logprobs: list[TokenLogprob] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _read_refusal(cls, value: object) -> object:
        if kind_of(value) == "refusal" and isinstance(value, dict):
            return {"type": "output_text", "text": value.get("refusal")}
        return value


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


class FunctionCall(ToolReference):
    """A function call; ``arguments`` is JSON text, or what there is of it if the call was cut off.

    The result refers to ``call_id``.
    """

    id: str = Field(default_factory=lambda: new_id("fc"))
    type: Literal["function_call"] = "function_call"
    status: ItemStatus = "completed"
    call_id: str
    arguments: str


class FunctionCallOutput(RequestModel):
    """Result of a function call."""

    id: str = Field(default_factory=lambda: new_id("fc"))
    type: Literal["function_call_output"] = "function_call_output"
    call_id: str
    output: InputTexts
    status: ItemStatus = "completed"


class CustomToolCall(ToolReference):
    """A call of a custom tool; ``input`` is text, and empty if the call was cut off.

    The result refers to ``call_id``.
    """

    id: str = Field(default_factory=lambda: new_id("ctc"))
    type: Literal["custom_tool_call"] = "custom_tool_call"
    status: ItemStatus = "completed"
    call_id: str
    input: str


class CustomToolCallOutput(RequestModel):
    """Result of a custom tool's call."""

    id: str = Field(default_factory=lambda: new_id("ctco"))
    type: Literal["custom_tool_call_output"] = "custom_tool_call_output"
    call_id: str
    output: InputTexts
    status: ItemStatus = "completed"


CallItem = FunctionCall | CustomToolCall
CallOutputItem = FunctionCallOutput | CustomToolCallOutput


class ReasoningItem(RequestModel):
    """Reasoning of another model, which is dropped: ChatGLM3's format has no place for it."""

    id: str = Field(default_factory=lambda: new_id("rs"))
    type: Literal["reasoning"] = "reasoning"
    summary: list[dict[str, Any]] = Field(default_factory=list)
    content: list[dict[str, Any]] | None = Field(default=None, exclude_if=is_none)
    encrypted_content: str | None = Field(default=None, exclude_if=is_none)
    status: ItemStatus | None = Field(default=None, exclude_if=is_none)


class ItemReference(RequestModel):
    """The item of this id in a stored response, which takes the reference's place."""

    type: Literal["item_reference"] = "item_reference"
    id: str


_KINDS = {
    "function_call": "FunctionCall",
    "function_call_output": "FunctionCallOutput",
    "custom_tool_call": "CustomToolCall",
    "custom_tool_call_output": "CustomToolCallOutput",
    "reasoning": "ReasoningItem",
    "item_reference": "ItemReference",
}


def _kind(item: Any) -> str | None:
    """Name of the model of an item. Messages need no ``type``, nor do references."""
    if isinstance(item, RequestModel):
        return type(item).__name__
    if not isinstance(item, dict):
        return None
    kind = item.get("type")
    if kind is None and item.keys() - {"type"} == {"id"}:
        return "ItemReference"
    if kind in (None, "message"):
        return "OutputMessage" if item.get("role") == "assistant" else "InputMessage"
    return _KINDS.get(kind) if isinstance(kind, str) else None


Item = Annotated[
    Annotated[InputMessage, Tag("InputMessage")]
    | Annotated[OutputMessage, Tag("OutputMessage")]
    | Annotated[FunctionCall, Tag("FunctionCall")]
    | Annotated[FunctionCallOutput, Tag("FunctionCallOutput")]
    | Annotated[CustomToolCall, Tag("CustomToolCall")]
    | Annotated[CustomToolCallOutput, Tag("CustomToolCallOutput")]
    | Annotated[ReasoningItem, Tag("ReasoningItem")]
    | Annotated[ItemReference, Tag("ItemReference")],
    Discriminator(
        _kind,
        custom_error_type="unsupported",
        custom_error_message=f"items are of the type message, {', '.join(_KINDS)}",
    ),
]
OutputItem = OutputMessage | CallItem
