"""Models of the events of a streamed message, in Anthropic's form.

    message_start, ping,
    { content_block_start, content_block_delta ..., content_block_stop } ...,
    message_delta, message_stop

``glm3edge.schema.messages.ErrorEvent`` may take the place of the rest anywhere.
"""

from typing import Literal

from glm3edge.schema.base import EventModel, ReplyModel
from glm3edge.schema.messages import MessageReply, MessageUsage, ReplyBlock, StopReason


class MessageStartEvent(EventModel):
    """Start of a message, with the tokens of its prompt and no content yet."""

    type: Literal["message_start"] = "message_start"
    message: MessageReply


class PingEvent(EventModel):
    """Event without content that keeps the connection alive."""

    type: Literal["ping"] = "ping"


class BlockStartEvent(EventModel):
    """Start of a content block, which is still empty."""

    type: Literal["content_block_start"] = "content_block_start"
    index: int
    content_block: ReplyBlock


class TextDelta(ReplyModel):
    """More text."""

    type: Literal["text_delta"] = "text_delta"
    text: str


class InputJsonDelta(ReplyModel):
    """More of the JSON of a tool call's input."""

    type: Literal["input_json_delta"] = "input_json_delta"
    partial_json: str


class BlockDeltaEvent(EventModel):
    """More of a content block."""

    type: Literal["content_block_delta"] = "content_block_delta"
    index: int
    delta: TextDelta | InputJsonDelta


class BlockStopEvent(EventModel):
    """End of a content block."""

    type: Literal["content_block_stop"] = "content_block_stop"
    index: int


class Stop(ReplyModel):
    """Stop reason of a message."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageDeltaEvent(EventModel):
    """Stop reason and usage of the message."""

    type: Literal["message_delta"] = "message_delta"
    delta: Stop
    usage: MessageUsage


class MessageStopEvent(EventModel):
    """End of the message."""

    type: Literal["message_stop"] = "message_stop"
