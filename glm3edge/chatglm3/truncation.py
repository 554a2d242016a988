"""Truncation of a conversation: leaves out the oldest messages so that the rest fits.

    system │ user  assistant │ user  assistant(calls)  tool  assistant │ user
           ╰──── exchange ───╯                                         ╰─ always kept

An exchange is a user's message with what follows it. The oldest go first, and each goes as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from glm3edge.schema.chat import Message


@dataclass(frozen=True, slots=True)
class TruncatedConversation:
    """Messages that are kept, and how many messages and tokens were left out."""

    messages: list[Message]
    num_dropped_messages: int
    num_dropped_tokens: int


def drop_oldest(
    messages: Sequence[Message], num_tokens: Sequence[int], *, num_excess: int
) -> TruncatedConversation:
    """Leave out the oldest exchanges, as few as may be, until ``num_excess`` tokens are gone.

    System messages stay, and so does the last user message with what follows it. A call and its
    result stay or go together, even where a user's message comes between them. If all that may go
    is not enough, it goes all the same: the caller has to check what is left.

    Args:
        messages: the conversation.
        num_tokens: tokens that each message takes in the prompt; those of system messages do not
            count.
        num_excess: tokens to get rid of; with none or less everything stays.
    """
    start = num_dropped_tokens = 0
    for cut in _cuts(messages):
        if num_dropped_tokens >= num_excess:
            break
        num_dropped_tokens += sum(num_tokens[index] for index in _between(messages, start, cut))
        start = cut
    dropped = _between(messages, 0, start)
    return TruncatedConversation(
        [message for index, message in enumerate(messages) if index not in dropped],
        len(dropped),
        num_dropped_tokens,
    )


def _between(messages: Sequence[Message], start: int, end: int) -> set[int]:
    """Indices from ``start`` to ``end`` of messages that are no system messages."""
    return {index for index in range(start, end) if not messages[index].is_system}


def _cuts(messages: Sequence[Message]) -> list[int]:
    """Indices before which everything may be left out: user messages that are not between a call
    and its result."""
    last_results = dict[int, int]()
    for call, result in _calls_of_results(messages):
        last_results[call] = max(result, last_results.get(call, 0))
    cuts, reach = [], 0  # index of the last result of the calls so far
    for cut, message in enumerate(messages):
        if message.role == "user" and reach <= cut:
            cuts.append(cut)
        reach = max(reach, last_results.get(cut, 0))
    return cuts


def _calls_of_results(messages: Sequence[Message]) -> list[tuple[int, int]]:
    """Indices of calls and of their results. Some clients use an id again: then a result belongs to
    the last call before it."""
    positions: dict[str | None, int] = {}
    pairs = []
    for index, message in enumerate(messages):
        positions |= dict.fromkeys((call.id for call in message.tool_calls or ()), index)
        if message.role == "tool" and message.tool_call_id in positions:
            pairs.append((positions[message.tool_call_id], index))
    return pairs
