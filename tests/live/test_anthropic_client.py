"""The official Anthropic client against a real server with the built-in model."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import jsonschema
import pytest

from tests.support.servers import Server, start_server, stop_server
from tests.support.waiting import SECONDS, wait_for

pytestmark = [pytest.mark.live, pytest.mark.engines]

HELLO: list[Any] = [{"role": "user", "content": "你好，你是谁？"}]
WEATHER: Any = {
    "name": "get_current_weather",
    "description": "查询城市的天气",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "城市名称"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
GREEDY: Any = {"extra_body": {"temperature": 0}}  # the client has left these fields behind
ASK: list[Any] = [{"role": "user", "content": "北京今天天气怎么样？"}]


@pytest.fixture
def client(server: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


def create(client: anthropic.Anthropic, **fields: Any) -> anthropic.types.Message:
    options: dict[str, Any] = {
        "model": "chatglm3-6b",
        "max_tokens": 64,
        "messages": HELLO,
        **fields,
    }
    message = client.messages.create(**options)
    assert isinstance(message, anthropic.types.Message)
    return message


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_message(client: anthropic.Anthropic) -> None:
    message = create(client, system="简短回答", max_tokens=16)
    assert (message.type, message.role) == ("message", "assistant")
    assert text_of(message)
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.output_tokens <= 16 + 1  # white space before the first word counts
    assert message.usage.input_tokens > 0


def test_a_stream_is_the_plain_message_in_pieces(client: anthropic.Anthropic) -> None:
    plain = create(client, **GREEDY)
    options: Any = {"model": "m", "max_tokens": 64, "messages": HELLO, **GREEDY}
    with client.messages.stream(**options) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(pieces) == text_of(final) == text_of(plain) != ""
    assert (final.stop_reason, final.stop_sequence) == (plain.stop_reason, plain.stop_sequence)
    assert final.usage.output_tokens == plain.usage.output_tokens
    assert num_prompt_tokens(final.usage) == num_prompt_tokens(plain.usage)


def num_prompt_tokens(usage: anthropic.types.Usage) -> int:
    return usage.input_tokens + (usage.cache_read_input_tokens or 0)


def test_raw_events(client: anthropic.Anthropic) -> None:
    stream = client.messages.create(model="m", max_tokens=8, messages=HELLO, stream=True)
    types = [event.type for event in stream]
    assert types[:2] == ["message_start", "content_block_start"]
    assert types[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(types[2:-3]) == {"content_block_delta"}


async def _async_texts(url: str) -> list[str]:
    options: Any = {"model": "m", "max_tokens": 32, "messages": HELLO, **GREEDY}
    async with anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0) as client:
        plain = await client.messages.create(**options)
        async with client.messages.stream(**options) as stream:
            pieces = [piece async for piece in stream.text_stream]
            final = await stream.get_final_message()
    return [text_of(plain), "".join(pieces), text_of(final)]


def test_the_async_client(server: Server) -> None:
    texts = asyncio.run(_async_texts(server.url))
    assert len(set(texts)) == 1
    assert texts[0]


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": WEATHER["name"]}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_round_trip_with_a_tool(
    client: anthropic.Anthropic, choice: dict[str, Any], stream: bool
) -> None:
    options: Any = {"model": "m", "max_tokens": 128, "tools": [WEATHER]}
    asking = options | {"messages": ASK, "tool_choice": choice}
    message: Any
    if stream:
        with client.messages.stream(**asking) as events:
            message = events.get_final_message()
    else:
        message = create(client, **asking)
    (call,) = message.content
    assert (call.type, call.name, message.stop_reason) == ("tool_use", WEATHER["name"], "tool_use")
    jsonschema.validate(call.input, WEATHER["input_schema"])
    result = {"type": "tool_result", "tool_use_id": call.id, "content": '{"天气": "晴"}'}
    answer = create(
        client,
        **options,
        messages=[
            *ASK,
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": [result]},
        ],
        tool_choice={"type": "none"},
    )
    assert text_of(answer)
    assert answer.stop_reason in ("end_turn", "max_tokens")


@pytest.mark.parametrize("stream", [False, True])
def test_stop_sequences(client: anthropic.Anthropic, stream: bool) -> None:
    whole = text_of(create(client, **GREEDY))
    stop = whole[len(whole) // 2]
    options: Any = {
        "model": "m",
        "max_tokens": 64,
        "messages": HELLO,
        **GREEDY,
        "stop_sequences": ["绝不会出现的话", stop],
    }
    message: Any
    if stream:
        with client.messages.stream(**options) as events:
            message = events.get_final_message()
    else:
        message = create(client, **options)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", stop)
    assert text_of(message) == whole.partition(stop)[0].rstrip()


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_goes_on_with_the_last_message(client: anthropic.Anthropic, stream: bool) -> None:
    whole = text_of(create(client, **GREEDY))
    begun = "".join(whole.partition("，")[:2])
    assert begun != whole
    messages: list[Any] = [*HELLO, {"role": "assistant", "content": begun}]
    options: Any = {"model": "m", "max_tokens": 64, "messages": messages, **GREEDY}
    if stream:
        with client.messages.stream(**options) as events:
            rest = "".join(events.text_stream)
    else:
        rest = text_of(create(client, **options))
    assert begun + rest == whole


@pytest.mark.parametrize(
    "thinking",
    [
        {"type": "enabled", "budget_tokens": 1024},
        {"type": "adaptive", "display": "summarized"},
        {"type": "between_tools"},
        {"type": "disabled"},
    ],
)
def test_thinking(client: anthropic.Anthropic, thinking: Any) -> None:
    """As Claude Code begins, and goes on where another model has replied before."""
    thoughts = [
        {"type": "thinking", "thinking": "问好", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
    ]
    said = {"role": "assistant", "content": [*thoughts, {"type": "text", "text": "您好"}]}
    messages = [*HELLO, said, *HELLO]
    plain = [*HELLO, {"role": "assistant", "content": "您好"}, *HELLO]
    assert text_of(create(client, messages=messages, thinking=thinking, **GREEDY)) == text_of(
        create(client, messages=plain, **GREEDY)
    )


def test_max_tokens_beyond_the_context_are_no_demand(client: anthropic.Anthropic) -> None:
    assert create(client, max_tokens=5_000).stop_reason in ("end_turn", "max_tokens")


def test_max_tokens(client: anthropic.Anthropic) -> None:
    message = create(client, max_tokens=2)
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens in (2, 3)  # white space before the first word counts


def test_a_count_is_what_the_message_takes(client: anthropic.Anthropic) -> None:
    conversation: Any = {"system": "简短回答", "messages": ASK, "tools": [WEATHER]}
    count = client.messages.count_tokens(model="m", **conversation).input_tokens
    assert count == num_prompt_tokens(create(client, **conversation, max_tokens=1).usage)
    assert count > client.messages.count_tokens(model="m", messages=ASK).input_tokens


@pytest.mark.local_engine  # a reply that the front cuts off comes without the count
def test_a_prompt_that_was_there_already(client: anthropic.Anthropic) -> None:
    conversation: Any = {"system": "你是一个助手。" * 20, "max_tokens": 2}
    create(client, **conversation)
    usage = create(client, **conversation).usage
    assert (usage.cache_read_input_tokens or 0) > usage.input_tokens


def test_json_of_a_schema(client: anthropic.Anthropic) -> None:
    schema = {
        "type": "object",
        "properties": {"城市": {"enum": ["北京", "上海"]}},
        "required": ["城市"],
        "additionalProperties": False,
    }
    wanted = {"format": {"type": "json_schema", "schema": schema}}
    message = create(client, extra_body={"output_config": wanted})
    jsonschema.validate(json.loads(text_of(message)), schema)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"messages": [{"role": "user", "content": "长" * 3000}]},
            "maximum context length is 1024",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image", "source": {"type": "url", "url": "http://x/x.png"}}
                        ],
                    }
                ]
            },
            r"messages\[0\]\.content\[0\]",
        ),
        ({"messages": [*HELLO, {"role": "assistant", "content": "我 "}]}, r"messages\[1\]"),
        ({"extra_body": {"thread": {"type": "create"}}}, "send all messages"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}}, "no tool 'x'"),
        ({"extra_body": {"temperature": 2}}, "temperature"),
    ],
)
def test_bad_requests(
    client: anthropic.Anthropic, fields: dict[str, Any], message: str, stream: bool
) -> None:
    with pytest.raises(anthropic.BadRequestError, match=message) as caught:
        create(client, **fields, stream=stream)
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")


def test_what_is_not_there(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.batches.list()
    body: Any = caught.value.body
    assert body["error"]["type"] == "not_found_error"


def test_leaving_a_stream_frees_the_server(tiny_gguf: Path) -> None:
    """Random weights do not stop, and sixty thousand tokens take longer than the test waits."""
    server = start_server(str(tiny_gguf), "--ctx-size", "65536")

    def num_running() -> int:
        return int(httpx.get(f"{server.url}/health", timeout=SECONDS).json()["running"])

    endless: Any = {"model": "m", "max_tokens": 60_000, "messages": HELLO, **GREEDY}
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        with client.messages.stream(**endless) as stream:
            next(stream.text_stream)
            assert num_running() == 1
        wait_for(lambda: num_running() == 0)
    assert stop_server(server) == 0
