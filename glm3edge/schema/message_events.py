"""Events of a streamed message, in Anthropic's form.

    message_start, ping,
    { content_block_start, content_block_delta ..., content_block_stop } ...,
    message_delta, message_stop

``glm3edge.schema.messages.ErrorEvent`` may take the place of the rest anywhere.
"""

from typing import Literal

from glm3edge.schema.base import EventModel, ReplyModel
from glm3edge.schema.messages import MessageReply, MessageUsage, ReplyBlock, StopReason


class MessageStartEvent(EventModel):
    """The message with no content yet, and its prompt's tokens."""

    type: Literal["message_start"] = "message_start"
    message: MessageReply


class PingEvent(EventModel):
    """Nothing: the connection stands."""

    type: Literal["ping"] = "ping"


class BlockStartEvent(EventModel):
    """A block with nothing in it yet."""

    type: Literal["content_block_start"] = "content_block_start"
    index: int
    content_block: ReplyBlock


class TextDelta(ReplyModel):
    """More text."""

    type: Literal["text_delta"] = "text_delta"
    text: str


class InputJsonDelta(ReplyModel):
    """More of the JSON of a call's input."""

    type: Literal["input_json_delta"] = "input_json_delta"
    partial_json: str


class BlockDeltaEvent(EventModel):
    """More of a block."""

    type: Literal["content_block_delta"] = "content_block_delta"
    index: int
    delta: TextDelta | InputJsonDelta


class BlockStopEvent(EventModel):
    """The end of a block."""

    type: Literal["content_block_stop"] = "content_block_stop"
    index: int


class Stop(ReplyModel):
    """Why a message ended."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageDeltaEvent(EventModel):
    """Why the message ended, and all tokens it took."""

    type: Literal["message_delta"] = "message_delta"
    delta: Stop
    usage: MessageUsage


class MessageStopEvent(EventModel):
    """The end."""

    type: Literal["message_stop"] = "message_stop"
