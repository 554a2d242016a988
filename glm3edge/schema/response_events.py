"""Models of the events of a streamed response: numbered, and each item's with its index.

response.created
response.in_progress
  response.output_item.added                    a message ...
    response.content_part.added
      response.output_text.delta                ...
    response.output_text.done
    response.content_part.done
  response.output_item.done
  response.output_item.added                    ... or a call; any number of both
    response.function_call_arguments.delta      (response.custom_tool_call_input.delta and .done
    response.function_call_arguments.done       for a custom tool)
  response.output_item.done
response.completed | response.incomplete | response.failed | error
"""

from typing import Literal

from glm3edge.schema.base import EventModel
from glm3edge.schema.chat import TokenLogprob
from glm3edge.schema.errors import ErrorDetail
from glm3edge.schema.response_items import OutputItem, OutputText
from glm3edge.schema.responses import ResponseReply


class ResponseEvent(EventModel):
    """An event of a streamed response."""

    sequence_number: int


class LifecycleEvent(ResponseEvent):
    """Status of the response, with its output so far."""

    type: Literal[
        "response.created",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    response: ResponseReply


class ItemEvent(ResponseEvent):
    """Start or end of an output item."""

    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: int
    item: OutputItem


class _WithinItem(ResponseEvent):
    item_id: str
    output_index: int


class _WithinPart(_WithinItem):
    content_index: int = 0


class PartEvent(_WithinPart):
    """Start or end of the text of a message."""

    type: Literal["response.content_part.added", "response.content_part.done"]
    part: OutputText


class TextDeltaEvent(_WithinPart):
    """More text."""

    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    delta: str
    logprobs: list[TokenLogprob]


class TextDoneEvent(_WithinPart):
    """End of the text, with all of it."""

    type: Literal["response.output_text.done"] = "response.output_text.done"
    text: str
    logprobs: list[TokenLogprob]


class ArgumentsDeltaEvent(_WithinItem):
    """More of a call's arguments; all of them where the call is not streamed."""

    type: Literal["response.function_call_arguments.delta"] = (
        "response.function_call_arguments.delta"
    )
    delta: str


class ArgumentsDoneEvent(_WithinItem):
    """End of a call's arguments, with all of them."""

    type: Literal["response.function_call_arguments.done"] = "response.function_call_arguments.done"
    name: str
    arguments: str


class InputDeltaEvent(_WithinItem):
    """The whole input of a custom tool's call."""

    type: Literal["response.custom_tool_call_input.delta"] = "response.custom_tool_call_input.delta"
    delta: str


class InputDoneEvent(_WithinItem):
    """End of the input of a custom tool's call, with all of it."""

    type: Literal["response.custom_tool_call_input.done"] = "response.custom_tool_call_input.done"
    input: str


class ErrorEvent(ResponseEvent):
    """Internal error that ends the stream: as OpenAI sends it, and in ``error`` as Open Responses
    has it."""

    type: Literal["error"] = "error"
    error: ErrorDetail
    code: str | None
    message: str
    param: str | None
