"""Whole choices of a chat reply, assembled from their parts."""

import uuid
from collections.abc import Iterable
from itertools import groupby

from glm3edge.chatglm3.chat_logprobs import joined
from glm3edge.chatglm3.parser import ProseDelta, ToolCallDelta
from glm3edge.schema.chat import (
    Choice,
    ChoiceLogprobs,
    ReplyFunction,
    ReplyMessage,
    ReplyToolCall,
)
from glm3edge.serving.chat.parts import ChatFinished, Part, ReplyItem


def make_choice(index: int, items: Iterable[ReplyItem]) -> tuple[Choice, ChatFinished]:
    """The choice ``index`` of a reply, and its ending, which is the last of ``items``."""
    texts: list[str] = []
    calls: list[ToolCallDelta] = []
    logprobs: list[ChoiceLogprobs | None] = []
    for item in items:
        match item:
            case Part(ProseDelta(text)):
                texts.append(text)
                logprobs.append(item.logprobs)
            case Part(ToolCallDelta() as delta):
                calls.append(delta)
            case ChatFinished():
                end = item
    content, tool_calls = "".join(texts), _tool_calls(calls) or None
    message = ReplyMessage(
        content=content if content or not tool_calls else None, tool_calls=tool_calls
    )
    choice = Choice(
        index=index,
        message=message,
        logprobs=joined(logprobs),
        finish_reason=end.finish_reason,
        stop_string=end.stop_string,
        ends_in_prose=end.ends_in_prose,
    )
    return choice, end


def new_call_id() -> str:
    """A new id of a tool call."""
    return f"call_{uuid.uuid4().hex[:24]}"


def _tool_calls(deltas: Iterable[ToolCallDelta]) -> list[ReplyToolCall]:
    calls = []
    for _, of_call in groupby(deltas, key=lambda delta: delta.index):
        first, *others = of_call  # the first has the name
        arguments = first.arguments + "".join(delta.arguments for delta in others)
        function = ReplyFunction(name=first.name or "", arguments=arguments)
        calls.append(ReplyToolCall(id=new_call_id(), function=function))
    return calls
