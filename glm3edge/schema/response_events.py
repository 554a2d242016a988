"""Events of streamed responses: each has a number, and those of an item say which it belongs to.

response.created
response.in_progress
  response.output_item.added                    a message ...
    response.content_part.added
      response.output_text.delta                ...
    response.output_text.done
    response.content_part.done
  response.output_item.done
  response.output_item.added                    ... or a call; any number of both
    response.function_call_arguments.delta
    response.function_call_arguments.done
  response.output_item.done
response.completed | response.incomplete | response.failed | error
"""

from typing import Literal

from glm3edge.schema.base import EventModel
from glm3edge.schema.chat import TokenLogprob
from glm3edge.schema.response_items import OutputItem, OutputText
from glm3edge.schema.responses import ResponseReply


class ResponseEvent(EventModel):
    """An event of a streamed response."""

    sequence_number: int


class LifecycleEvent(ResponseEvent):
    """The response as it stands."""

    type: Literal[
        "response.created",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    response: ResponseReply


class ItemEvent(ResponseEvent):
    """An item begins, or is whole."""

    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: int
    item: OutputItem


class _WithinItem(ResponseEvent):
    item_id: str
    output_index: int


class _WithinPart(_WithinItem):
    content_index: int = 0


class PartEvent(_WithinPart):
    """The text of a message begins, or is whole."""

    type: Literal["response.content_part.added", "response.content_part.done"]
    part: OutputText


class TextDeltaEvent(_WithinPart):
    """More text."""

    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    delta: str
    logprobs: list[TokenLogprob]


class TextDoneEvent(_WithinPart):
    """All of the text."""

    type: Literal["response.output_text.done"] = "response.output_text.done"
    text: str
    logprobs: list[TokenLogprob]


class ArgumentsDeltaEvent(_WithinItem):
    """More of a call's arguments: all of them, as calls come whole."""

    type: Literal["response.function_call_arguments.delta"] = (
        "response.function_call_arguments.delta"
    )
    delta: str


class ArgumentsDoneEvent(_WithinItem):
    """All of a call's arguments."""

    type: Literal["response.function_call_arguments.done"] = "response.function_call_arguments.done"
    name: str
    arguments: str


class ErrorEvent(ResponseEvent):
    """The stream has failed, through no fault of the request's or the model's."""

    type: Literal["error"] = "error"
    code: str | None
    message: str
    param: str | None
