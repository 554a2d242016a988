"""Chat replies, translated to responses of OpenAI's Responses API."""

import time
from collections.abc import Sequence

from glm3edge.core import SamplingParams
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.base import Usage
from glm3edge.schema.chat import ChatReply, FinishReasonName, TokenLogprob
from glm3edge.schema.response_items import (
    Item,
    OutputItem,
    OutputMessage,
    OutputText,
    new_id,
)
from glm3edge.schema.responses import (
    IncompleteDetails,
    InputTokensDetails,
    ItemList,
    PlainFormat,
    Reasoning,
    ResponseReply,
    ResponseRequest,
    ResponseUsage,
    SchemaFormat,
    TextOptions,
)
from glm3edge.schema.server_tools import ServerTool
from glm3edge.serving.responses.tools import ToolTable, finish_call

_DEFAULTS = SamplingParams()
_SAME_FIELDS = (
    *("instructions", "max_output_tokens", "max_tool_calls", "previous_response_id"),
    *("prompt_cache_key", "safety_identifier", "user"),
)


def new_response(request: ResponseRequest, *, created_at: int, model: str) -> ResponseReply:
    """The response to ``request`` before it has any output."""
    wanted = request.text.format if request.text is not None else None
    sampling = {
        name: getattr(_DEFAULTS, name) if (value := getattr(request, name)) is None else value
        for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty")
    }
    same = {name: getattr(request, name) for name in _SAME_FIELDS}
    return ResponseReply(
        id=new_id("resp"),
        created_at=created_at,
        model=model,
        metadata=request.metadata or {},
        parallel_tool_calls=request.parallel_tool_calls is not False,
        reasoning=request.reasoning or Reasoning(),
        store=request.store is not False,
        text=TextOptions(format=_told(wanted)),
        tool_choice=request.tool_choice or "auto",
        tools=[tool for tool in request.tools or () if not isinstance(tool, ServerTool)],
        top_logprobs=request.top_logprobs or 0,
        truncation=request.truncation or "disabled",
        **sampling,
        **same,
    )


def _told(wanted: PlainFormat | SchemaFormat | None) -> PlainFormat | SchemaFormat:
    """``wanted`` as responses repeat it: whether it is strict is never left open."""
    if isinstance(wanted, SchemaFormat):
        return wanted.model_copy(update={"strict": bool(wanted.strict)})
    return wanted or PlainFormat()


def add_reply(started: ResponseReply, reply: ChatReply) -> ResponseReply:
    """The response ``started``, finished with a chat reply: its text, then its calls."""
    (choice,) = reply.choices
    text, calls = choice.message.content or "", choice.message.tool_calls or []
    output: list[OutputItem] = []
    if text or not calls:
        logprobs = None if choice.logprobs is None else choice.logprobs.content
        is_cut = choice.finish_reason == "length" and choice.ends_in_prose
        output.append(text_message(text, logprobs, is_cut=is_cut))
    tools = ToolTable(started.tools)
    output += [
        finish_call(tools.start_call(call.id, call.function.name), call.function.arguments)
        for call in calls
    ]
    return finish(started, output=output, reason=choice.finish_reason, usage=reply.usage)


def finish(
    started: ResponseReply, *, output: list[OutputItem], reason: FinishReasonName, usage: Usage
) -> ResponseReply:
    """The response ``started``, with its output, status and usage."""
    is_cut = reason == "length"
    return started.model_copy(
        update={
            "status": "incomplete" if is_cut else "completed",
            "completed_at": None if is_cut else int(time.time()),
            "incomplete_details": IncompleteDetails() if is_cut else None,
            "output": output,
            "usage": _usage(usage),
        }
    )


def text_message(text: str, logprobs: list[TokenLogprob] | None, *, is_cut: bool) -> OutputMessage:
    """Message of the assistant."""
    part = OutputText(text=text, logprobs=logprobs or [])
    return OutputMessage(content=[part], status="incomplete" if is_cut else "completed")


def page(items: Sequence[Item], *, after: str | None, limit: int, descending: bool) -> ItemList:
    """A page of a response's items: ``limit`` of them, from the one that follows the id ``after``.

    Raises:
        InvalidRequestError: there is no such item.
    """
    ordered = list(reversed(items)) if descending else list(items)
    start = 0
    if after is not None:
        ids = [item.id for item in ordered]
        if after not in ids:
            raise InvalidRequestError(f"after: item {after!r} does not exist", param="after")
        start = ids.index(after) + 1
    data = ordered[start : start + limit]
    return ItemList(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=start + limit < len(ordered),
    )


def _usage(usage: Usage) -> ResponseUsage:
    details = usage.prompt_tokens_details
    return ResponseUsage(
        input_tokens=usage.prompt_tokens,
        input_tokens_details=InputTokensDetails(
            cached_tokens=details.cached_tokens if details else 0
        ),
        output_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
    )
