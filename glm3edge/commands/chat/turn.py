"""Turn of a chat: from the user's message to the first reply without tool calls."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from glm3edge.commands.chat.calls import MAX_ROUNDS, CallCanceledError, CallHandler
from glm3edge.commands.chat.conversation import Conversation, offered_tools
from glm3edge.commands.chat.generation_options import GenerationOptions
from glm3edge.commands.chat.reply import Reply, Stats
from glm3edge.commands.chat.sources.base import Source, TextDelta
from glm3edge.commands.chat.terminal.display import Display
from glm3edge.commands.chat.terminal.interrupt import InterruptedByUserError, interruptible
from glm3edge.commands.chat.terminal.translations import Texts
from glm3edge.errors import ContextLengthExceededError
from glm3edge.tools.toolbox import Toolbox


@dataclass(slots=True)
class Chat:
    """State of a chat: source of replies, conversation, options, tools and statistics."""

    source: Source
    conversation: Conversation = field(default_factory=Conversation)
    options: GenerationOptions = field(default_factory=GenerationOptions)
    file_tools: list[dict[str, Any]] = field(default_factory=list)
    toolbox: Toolbox | None = None
    stats: Stats = field(default_factory=Stats)

    @property
    def tools(self) -> Sequence[dict[str, Any]]:
        """Definitions of the tools that the model may call."""
        return offered_tools(self.file_tools, self.toolbox)

    @property
    def body(self) -> dict[str, Any]:
        """Body of the request for the next reply."""
        body = {"messages": self.conversation.all_messages, **self.options.body}
        if tools := self.tools:
            body["tools"] = list(tools)
        return body


async def take_turn(chat: Chat, display: Display, handler: CallHandler, texts: Texts) -> Reply:
    """Reply to the last message, and to the results of calls, until a reply has no calls.

    The text of a reply that is stopped or fails is kept in the conversation; calls are kept only
    if they have results.

    Raises:
        ContextLengthExceededError: the request does not fit the context; it was not sent.
        Glm3EdgeError: the source failed.
    """
    num_rounds = 0
    while True:
        reply = await _reply(chat, display, texts)
        if not reply.calls or reply.finish_reason == "length":
            return reply
        if not await _answer_calls(chat, reply, handler):
            return reply
        num_rounds += 1
        if num_rounds % MAX_ROUNDS == 0 and not await handler.may_continue(num_rounds):
            return reply


async def _reply(chat: Chat, display: Display, texts: Texts) -> Reply:
    """Stream one reply to ``display`` and add it to the conversation."""
    body = chat.body
    reply = Reply()
    try:
        await interruptible(_stream(chat, body, reply, display, texts))
    except InterruptedByUserError:
        reply.stop()
    finally:
        await display.finish()
        is_whole = reply.finish_reason not in ("", "stopped", "length")
        chat.conversation.add_reply(reply.text, reply.calls if is_whole else ())
    await _count(chat, reply)
    chat.stats.add(reply)
    return reply


async def _stream(
    chat: Chat, body: dict[str, Any], reply: Reply, display: Display, texts: Texts
) -> None:
    count = reply.num_prompt_tokens = await check_length(chat, body)

    def waiting(seconds: int) -> str:
        if count is None:
            return texts("waiting", seconds=seconds)
        return texts("reading", count=count, seconds=seconds)

    await display.start(waiting)
    async with aclosing(chat.source.stream(body)) as events:
        async for event in events:
            reply.feed(event)
            if isinstance(event, TextDelta):
                display.feed(event.text)


async def _count(chat: Chat, reply: Reply) -> None:
    """Count the tokens of a stopped reply, which has no usage."""
    if reply.num_tokens is None and reply.finish_reason == "stopped":
        reply.num_tokens = await chat.source.count_text(reply.text) if reply.text else 0


async def _answer_calls(chat: Chat, reply: Reply, handler: CallHandler) -> bool:
    """Add the results of a reply's calls to the conversation; False if a call was canceled."""
    results: list[str] = []
    try:
        while len(results) < len(reply.calls):
            results.append(await handler.result(reply.calls[len(results)]))
    except (CallCanceledError, InterruptedByUserError):
        return False
    finally:
        if len(results) < len(reply.calls):  # a call without a result has no place in a prompt
            chat.conversation.messages.pop()
            chat.conversation.add_reply(reply.text)
    for call, result in zip(reply.calls, results, strict=True):
        chat.conversation.add_result(call, result)
    return True


async def check_length(chat: Chat, body: dict[str, Any]) -> int | None:
    """Number of prompt tokens, None if the source cannot count them.

    Raises:
        ContextLengthExceededError: prompt and reply do not fit the context.
    """
    count = await chat.source.count_prompt(body)
    size = chat.source.context_length
    if count is None or size is None or chat.options.truncates:
        return count
    wanted = chat.options.max_tokens or 1
    if count + wanted > size:
        raise ContextLengthExceededError(
            num_prompt_tokens=count, num_new_tokens=wanted, context_size=size, param="messages"
        )
    return count


def describe_overflow(exc: ContextLengthExceededError, texts: Texts) -> str:
    """Message on a prompt that is too long: by how much, and what to do."""
    key = "too_long" if exc.num_new_tokens == 1 else "too_long_reply"
    return texts(key, count=exc.num_prompt_tokens, wanted=exc.num_new_tokens, size=exc.context_size)
