"""Assistant messages at the end: which are continued, and how the reply goes on."""

import json
from typing import Any

import pytest

from glm3edge.engine.engine import Engine
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import ChatChunk, ChatReply, ChatRequest
from glm3edge.serving.chat.continuation import continues_last_message
from glm3edge.serving.chat.service import ChatService
from tests.support.fakes import ASSISTANT, EOS, OBSERVATION, FakeBackend, spell
from tests.support.services import run

USER = {"role": "user", "content": "hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": "a", "tool_calls": [CALL]}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
RAW_CALL = "weather\n```python\ntool_call(city='北京')\n```"
BOTH = "Cannot set both `continue_final_message` and `add_generation_prompt` to"


def says(text: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def request(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    return ChatRequest.model_validate({"messages": messages, **fields})


@pytest.mark.parametrize(
    ("wanted", "new", "expected"),
    [
        (None, None, True),
        (True, None, True),
        (True, False, True),
        (None, False, True),
        (False, None, False),
        (None, True, False),
        (False, True, False),
    ],
)
def test_what_the_fields_ask_for(wanted: bool | None, new: bool | None, expected: bool) -> None:
    fields = {"continue_final_message": wanted, "add_generation_prompt": new}
    assert continues_last_message(request(USER, says("a"), **fields)) is expected
    if not expected:
        for last in (USER, CALLED, says("")):
            assert not continues_last_message(request(last, **fields))


@pytest.mark.parametrize(
    ("last", "wanted", "new", "message"),
    [
        (says("a"), True, True, f"{BOTH} True."),
        (USER, True, True, f"{BOTH} True."),
        (says("a"), False, False, f"{BOTH} False."),
        (USER, True, False, "must be the assistant's"),
        (USER, None, False, "must be the assistant's"),
        (CALLED, True, None, "Cannot continue an assistant message that contains tool calls."),
        (CALLED, None, False, "Cannot continue an assistant message that contains tool calls."),
    ],
)
def test_contradictions(last: dict[str, Any], wanted: bool, new: bool, message: str) -> None:
    fields = {"continue_final_message": wanted, "add_generation_prompt": new}
    with pytest.raises(InvalidRequestError, match=message) as caught:
        continues_last_message(request(last, **fields))
    assert caught.value.param in ("continue_final_message", "add_generation_prompt")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([USER], False),
        ([says("a")], True),
        ([USER, says([{"type": "text", "text": "a"}])], True),
        ([USER, says(" ")], True),
        ([USER, says("")], False),
        ([USER, says(None)], False),
        ([USER, CALLED], False),
        ([USER, says("a"), says("b")], True),
        ([USER, says("a"), {"role": "system", "content": "x"}], False),
        ([USER, says("a"), {"role": "observation", "content": "x"}], False),
    ],
)
def test_by_default(messages: list[dict[str, Any]], expected: bool) -> None:
    assert continues_last_message(request(*messages)) is expected


def replies(
    service: ChatService, engine: Engine, *messages: dict[str, Any], **fields: Any
) -> tuple[str, Any]:
    """Text, and the whole choice, which streamed is the same."""
    job = service.prepare(request(*messages, **fields))

    async def both() -> tuple[ChatReply, list[ChatChunk]]:
        return await service.complete(job), [chunk async for chunk in service.stream(job)]

    reply, chunks = run(engine, both)
    (choice,) = reply.choices
    pieces = [one.delta.content or "" for chunk in chunks for one in chunk.choices]
    assert "".join(pieces) == (choice.message.content or "")
    return choice.message.content or "", choice


OPEN = [USER, says("ab")]


@pytest.mark.parametrize(
    ("written", "fields", "expected"),
    [
        ("c d", {}, "c d"),
        (" c d ", {}, " c d"),
        ("\n\nc", {}, "\n\nc"),
        ("weather\nc", {}, "weather\nc"),
        (" c d", {"stop": [" d"]}, " c"),
        (" c d", {"stop": [" "]}, ""),
        (" cd", {"max_tokens": 2}, " c"),
        ("", {}, ""),
        (" c d", {"tools": [TOOL]}, " c d"),
        ("weather\nc", {"tools": [TOOL]}, "weather\nc"),
        (" c d", {"tools": [TOOL], "stop": [" d"]}, " c"),
        (" cd", {"tools": [TOOL], "max_tokens": 2}, " c"),
    ],
)
def test_the_reply_is_what_follows(  # noqa: PLR0917 - fixtures and a table
    backend: FakeBackend,
    service: ChatService,
    engine: Engine,
    written: str,
    fields: dict[str, Any],
    expected: str,
) -> None:
    backend.reply_for = lambda prompt: [
        *spell(written if list(prompt[-4:]) == [ASSISTANT, *spell("\nab")] else "wrong"),
        EOS,
    ]
    assert replies(service, engine, *OPEN, **fields)[0] == expected


@pytest.mark.parametrize("tools", [None, [TOOL]])
def test_log_probabilities_are_those_of_what_follows(
    backend: FakeBackend, service: ChatService, engine: Engine, tools: Any
) -> None:
    backend.reply_for = lambda _prompt: [*spell(" c d "), EOS]
    text, choice = replies(service, engine, *OPEN, tools=tools, logprobs=True)
    assert "".join(token.token for token in choice.logprobs.content) == text == " c d"


def test_a_call_may_follow(backend: FakeBackend, service: ChatService, engine: Engine) -> None:
    backend.reply_for = lambda _prompt: [*spell(" c"), ASSISTANT, *spell(RAW_CALL), OBSERVATION]
    text, choice = replies(service, engine, *OPEN, tools=[TOOL])
    assert text == " c"
    (call,) = choice.message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "北京"}
    assert choice.finish_reason == "tool_calls"


def test_a_message_of_its_own(backend: FakeBackend, service: ChatService, engine: Engine) -> None:
    backend.reply_for = lambda prompt: [
        *spell(" c" if list(prompt[-2:]) == [ASSISTANT, *spell("\n")] else "wrong"),
        EOS,
    ]
    assert replies(service, engine, *OPEN, continue_final_message=False)[0] == "c"


def test_the_count_is_that_of_the_open_prompt(service: ChatService) -> None:
    job = service.prepare(request(*OPEN))
    assert service.count_prompt_tokens(request(*OPEN)) == job.num_prompt_tokens
    assert list(job.generations[0].prompt_ids[-2:]) == spell("ab")
