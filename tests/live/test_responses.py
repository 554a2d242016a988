"""Responses with the official OpenAI client, against a real server with the built-in model."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from openai.types import responses as official
from pydantic import BaseModel

from tests.support.servers import Server

pytestmark = [pytest.mark.live, pytest.mark.engines]

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "查询天气",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 9}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Place(BaseModel):
    """What a reply is parsed into."""

    kind: Literal["城市", "乡村"]
    count: Literal[1, 2, 3]


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


def test_a_response(client: openai.OpenAI) -> None:
    response = client.responses.create(
        model="chatglm3-6b",
        instructions="简短回答",
        input="你好，你是谁？",
        max_output_tokens=64,
        metadata={"题": "问候"},
    )
    assert response.output_text
    assert response.status in ("completed", "incomplete")
    assert (response.instructions, response.metadata) == ("简短回答", {"题": "问候"})
    assert response.usage is not None
    assert 1 <= response.usage.output_tokens <= 64
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_a_stream_is_the_plain_response_in_pieces(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {"model": "m", "input": "讲个故事", "temperature": 0}
    plain = client.responses.create(**options)
    text = ""
    with client.responses.stream(**options) as stream:
        for number, event in enumerate(stream):
            assert event.sequence_number == number
            if event.type == "response.output_text.delta":
                text += event.delta
                assert event.snapshot == text
        final = stream.get_final_response()
    assert text == final.output_text == plain.output_text != ""
    assert final.status == "completed"


def test_raw_events(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="m", input="你好", temperature=0, stream=True))
    assert [event.type for event in events[:4]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert events[-1].type == "response.completed"
    assert isinstance(events[-1], official.ResponseCompletedEvent)
    assert events[-1].response.output_text


def test_a_response_of_a_shape(client: openai.OpenAI) -> None:
    response = client.responses.parse(model="m", input="北京是什么？", text_format=Place)
    assert isinstance(response.output_parsed, Place)
    with client.responses.stream(model="m", input="北京是什么？", text_format=Place) as stream:
        assert isinstance(stream.get_final_response().output_parsed, Place)


def test_a_whole_tool_round_trip(client: openai.OpenAI) -> None:
    first = client.responses.create(
        model="m", input="北京天气怎么样？", tools=[WEATHER], tool_choice="required"
    )
    calls = [item for item in first.output if item.type == "function_call"]
    assert calls
    assert all(set(json.loads(call.arguments)) == {"city", "days"} for call in calls)
    results: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": "晴，22 度"}
        for call in calls
    ]
    second = client.responses.create(
        model="m",
        input=results,
        previous_response_id=first.id,
        tools=[WEATHER],
        tool_choice="none",
        max_output_tokens=16,
    )
    assert second.output_text
    assert second.previous_response_id == first.id
    third = client.responses.create(
        model="m", input="谢谢", previous_response_id=second.id, max_output_tokens=16
    )
    assert third.output_text


def test_a_custom_tool_s_regular_expression(client: openai.OpenAI) -> None:
    pattern = r"(第[0-9]{2}页\n){2}'[a-c]+\""
    grammar = {"type": "grammar", "syntax": "regex", "definition": pattern}
    tool: Any = {"type": "custom", "name": "turn", "description": "翻页", "format": grammar}
    choice: Any = {"type": "custom", "name": "turn"}
    response = client.responses.create(
        model="m", input="翻页", tools=[tool], tool_choice=choice, max_output_tokens=100
    )
    (call,) = response.output
    assert isinstance(call, official.ResponseCustomToolCall)
    assert re.fullmatch(pattern, call.input) or response.status == "incomplete"
    space: Any = {"type": "namespace", "name": "书", "description": "", "tools": [tool, WEATHER]}
    for chosen, name in ((choice, "turn"), (WEATHER, "get_weather")):
        response = client.responses.create(
            model="m",
            input="翻页",
            tools=[space, {"type": "web_search"}],
            tool_choice=chosen,
            max_output_tokens=100,
        )
        item: Any = response.output[0]
        assert (item.namespace, item.name) == ("书", name)


def test_a_round_trip_without_the_server_s_memory(client: openai.OpenAI) -> None:
    """All is sent again: the output items as the client has parsed them."""
    conversation: list[Any] = [{"role": "user", "content": "北京天气怎么样？"}]
    choice: Any = {"type": "function", "name": "get_weather"}
    first = client.responses.create(
        model="m", input=conversation, tools=[WEATHER], tool_choice=choice, store=False
    )
    conversation += [item.model_dump() for item in first.output]
    conversation += [
        {"type": "function_call_output", "call_id": item.call_id, "output": "晴"}
        for item in first.output
        if item.type == "function_call"
    ]
    second = client.responses.create(
        model="m", input=conversation, max_output_tokens=16, store=False
    )
    conversation += [item.model_dump() for item in second.output]
    conversation += [{"role": "user", "content": [{"type": "input_text", "text": "谢谢"}]}]
    last = client.responses.create(model="m", input=conversation, max_output_tokens=16)
    assert last.output_text


def test_a_loop_whose_items_are_only_referred_to(client: openai.OpenAI) -> None:
    """As the AI SDK goes on by default, also with another model's reasoning before it."""

    def create(*items: object, choice: object = "none") -> official.Response:
        options: dict[str, Any] = {"input": items, "tool_choice": choice, "temperature": 0}
        made = client.responses.create(model="m", tools=[WEATHER], max_output_tokens=64, **options)
        assert isinstance(made, official.Response)
        return made

    question = {"role": "user", "content": "北京天气怎么样？"}
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "eA=="}
    first = create(question, reasoning, choice={"type": "function", "name": "get_weather"})
    (call,) = first.output
    assert isinstance(call, official.ResponseFunctionToolCall)
    reference = {"type": "item_reference", "id": call.id}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "晴，22 度"}
    referred = create(question, reasoning, reference, result)
    whole = create(question, call.to_dict(), result)
    assert referred.output_text == whole.output_text != ""
    for response in (first, referred, whole):
        client.responses.delete(response.id)
    with pytest.raises(openai.BadRequestError, match="no stored response has an item") as caught:
        create(question, reference, result)
    assert caught.value.param == "input[1].id"


def test_a_streamed_call(client: openai.OpenAI) -> None:
    with client.responses.stream(
        model="m", input="上海天气怎么样？", tools=[WEATHER], tool_choice="required"
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    calls = [item for item in final.output if item.type == "function_call"]
    assert [event.arguments for event in done] == [call.arguments for call in calls] != []


def test_logprobs(client: openai.OpenAI) -> None:
    response = client.responses.create(
        model="m",
        input="你好",
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        max_output_tokens=8,
    )
    (message,) = response.output
    assert isinstance(message, official.ResponseOutputMessage)
    part = message.content[0]
    assert isinstance(part, official.ResponseOutputText)
    assert part.logprobs
    assert all(len(token.top_logprobs) == 2 for token in part.logprobs)


def test_a_response_that_is_cut(client: openai.OpenAI) -> None:
    response = client.responses.create(model="m", input="讲个故事", max_output_tokens=3)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    *_, last = client.responses.create(
        model="m", input="讲个故事", max_output_tokens=3, stream=True
    )
    assert last.type == "response.incomplete"


def test_what_is_kept(client: openai.OpenAI) -> None:
    first = client.responses.create(model="m", input="你好", max_output_tokens=8)
    assert client.responses.retrieve(first.id) == first
    second = client.responses.create(
        model="m", input="再见", previous_response_id=first.id, max_output_tokens=8
    )
    items = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    assert [item.type for item in items] == ["message", "message", "message"]
    client.responses.delete(first.id)
    for call in (client.responses.retrieve, client.responses.delete):
        with pytest.raises(openai.NotFoundError):
            call(first.id)
    assert client.responses.retrieve(second.id).id == second.id


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"previous_response_id": "resp_0"}, "previous_response_id", "previous_response_not_found"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", None),
        ({"max_output_tokens": 1023}, "input", "context_length_exceeded"),
        ({"input": "很长" * 20_000}, "input", "context_length_exceeded"),
        (
            {
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "x",
                        "schema": {"unevaluatedItems": False},
                    }
                }
            },
            "text.format",
            None,
        ),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors(
    client: openai.OpenAI, fields: dict[str, Any], param: str, code: str | None, streamed: bool
) -> None:
    options: dict[str, Any] = {"model": "m", "input": "你好", "stream": streamed} | fields
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**options)
    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.type == "invalid_request_error"


async def _async_responses(base_url: str) -> tuple[str, str]:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        first = await client.responses.create(model="m", input="你好", temperature=0)
        async with client.responses.stream(
            model="m", input="再见", previous_response_id=first.id, temperature=0
        ) as stream:
            return first.output_text, (await stream.get_final_response()).output_text


def test_the_async_client(server: Server) -> None:
    first, second = asyncio.run(_async_responses(server.base_url))
    assert first
    assert second
