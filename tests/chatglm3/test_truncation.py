"""Which messages are left out, on examples and on random conversations."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from glm3edge.chatglm3.prompt import build_turns
from glm3edge.chatglm3.truncation import TruncatedConversation, drop_oldest
from glm3edge.schema.chat import Message

MESSAGES = TypeAdapter(list[Message])


def system(text: str = "规矩") -> dict[str, Any]:
    return {"role": "system", "content": text}


def user(text: str = "问") -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str = "答") -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def calls(*ids: str) -> dict[str, Any]:
    function = {"name": "天气", "arguments": "{}"}
    made = [{"id": id_, "type": "function", "function": function} for id_ in ids]
    return {"role": "assistant", "content": None, "tool_calls": made}


def result(id_: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": "晴"}


def dropped(conversation: list[dict[str, Any]], num_excess: int) -> list[int]:
    """Positions of the messages that are left out, if each takes ten tokens."""
    messages = MESSAGES.validate_python(conversation)
    kept = drop_oldest(messages, [10] * len(messages), num_excess=num_excess)
    places = [index for index, m in enumerate(messages) if not any(m is k for k in kept.messages)]
    assert kept.num_dropped_messages == len(places)
    assert kept.num_dropped_tokens == 10 * len(places)
    return places


CHAT = [system(), user(), assistant(), user(), assistant(), user()]
TOOLS = [user(), calls("a", "b"), result("a"), result("b"), assistant(), user(), assistant()]
LATE = [user(), calls("a"), user("快点"), result("a"), assistant(), user()]
AGAIN = [user(), calls("a"), result("a"), user(), calls("a"), result("a"), user()]


@pytest.mark.parametrize(
    ("conversation", "num_excess", "places"),
    [
        (CHAT, -5, []),
        (CHAT, 0, []),
        (CHAT, 1, [1, 2]),
        (CHAT, 20, [1, 2]),
        (CHAT, 21, [1, 2, 3, 4]),
        (CHAT, 1000, [1, 2, 3, 4]),
        (TOOLS, 1, [0, 1, 2, 3, 4]),
        (TOOLS, 51, [0, 1, 2, 3, 4]),
        (LATE, 1, [0, 1, 2, 3, 4]),
        (LATE[:4], 1, []),
        (AGAIN, 30, [0, 1, 2]),
        (AGAIN, 31, [0, 1, 2, 3, 4, 5]),
        ([assistant("你好！"), *CHAT[1:]], 1, [0]),
        ([user(), system(), assistant(), system(), user()], 1, [0, 2]),
        ([user(), user(), user()], 15, [0, 1]),
        ([user()], 5, []),
        ([system(), assistant(), assistant()], 5, []),
    ],
)
def test_examples(conversation: list[dict[str, Any]], num_excess: int, places: list[int]) -> None:
    assert dropped(conversation, num_excess) == places


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Any order of roles that a prompt can be built of; ids of calls come again."""
    conversation: list[dict[str, Any]] = []
    known: list[str] = []
    for kind in draw(st.lists(st.sampled_from("suuaact"), max_size=14)):
        if kind == "c":
            ids = draw(st.lists(st.sampled_from("xyz"), min_size=1, max_size=2, unique=True))
            conversation.append(calls(*ids))
            known += ids
        elif kind == "t":
            conversation += [result(draw(st.sampled_from(known)))] if known else []
        else:
            conversation.append({"s": system, "u": user, "a": assistant}[kind]())
    return MESSAGES.validate_python(conversation)


def is_whole(messages: list[Message], start: int) -> bool:
    """Whether every result from ``start`` on has its call there too."""
    for index in range(start, len(messages)):
        if messages[index].role == "tool":
            id_ = messages[index].tool_call_id
            call = next(
                place
                for place in range(index - 1, -1, -1)
                if id_ in [call.id for call in messages[place].tool_calls or ()]
            )
            if call < start:
                return False
    return True


@given(conversations(), st.lists(st.integers(1, 50), min_size=14), st.integers(-20, 400))
def test_what_is_kept(messages: list[Message], sizes: list[int], num_excess: int) -> None:
    build_turns(messages)  # the conversation is one that is served
    num_tokens = sizes[: len(messages)]
    kept = drop_oldest(messages, num_tokens, num_excess=num_excess)
    start = start_of_rest(messages, kept)

    rest = [message for message in messages[:start] if message.is_system] + messages[start:]
    assert kept.messages == rest
    assert is_whole(messages, start)
    build_turns(kept.messages)

    users = [index for index, message in enumerate(messages) if message.role == "user"]
    assert start <= max(users, default=0)
    sums = {
        place: sum(n for n, m in zip(num_tokens[:place], messages, strict=False) if not m.is_system)
        for place in users
        if is_whole(messages, place)
    }
    assert kept.num_dropped_tokens == sums.get(start, 0)
    enough = [place for place in sums if sums[place] >= num_excess]
    if num_excess <= 0:
        assert not kept.num_dropped_messages
    elif enough:
        assert sums[start] == sums[min(enough)]
    else:
        assert kept.num_dropped_tokens == max(sums.values(), default=0)


def start_of_rest(messages: list[Message], kept: TruncatedConversation) -> int:
    """Where what is kept begins: the first user message with as many messages before it as were
    dropped, system messages apart; 0 if none was."""
    if not kept.num_dropped_messages:
        return 0
    return next(
        index
        for index, message in enumerate(messages)
        if message.role == "user"
        and sum(not m.is_system for m in messages[:index]) == kept.num_dropped_messages
    )
