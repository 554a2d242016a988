"""The older forms of calls with the official client and a real model."""

import json
from typing import Any

import jsonschema
import openai
import pytest

from tests.support.servers import Server

pytestmark = pytest.mark.live

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city", "days"],
}
FUNCTION = {"name": "get_weather", "description": "查询天气", "parameters": SCHEMA}
OFFICIAL = {
    "get_weather": {
        "name": "get_weather",
        "description": "查询天气",
        "params": [
            {"name": "city", "description": "城市", "type": "str", "required": True},
            {"name": "days", "description": "天数", "type": "int", "required": True},
        ],
    }
}
ASK = {"role": "user", "content": "查询北京三天的天气"}
RESULT = {"role": "function", "name": "get_weather", "content": "晴，22 度"}


@pytest.fixture
def create(server: Server) -> Any:
    client = openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)
    make: Any = client.chat.completions.create
    return lambda **fields: make(
        **{"model": "chatglm3-6b", "messages": [ASK], "max_tokens": 200, "seed": 1} | fields
    )


def test_functions(create: Any) -> None:
    asked = {"functions": [FUNCTION], "function_call": {"name": "get_weather"}}
    choice = create(**asked).choices[0]
    assert (choice.finish_reason, choice.message.tool_calls) == ("function_call", None)
    assert choice.message.function_call.name == "get_weather"
    jsonschema.validate(json.loads(choice.message.function_call.arguments), SCHEMA)
    reply = create(messages=[ASK, choice.message, RESULT], functions=[FUNCTION], max_tokens=24)
    assert reply.choices[0].message.role == "assistant"


def test_a_stream_of_functions_is_the_plain_reply_in_pieces(create: Any) -> None:
    asked = {"functions": [FUNCTION], "function_call": {"name": "get_weather"}, "temperature": 0}
    chunks = list(create(stream=True, **asked))
    calls = [c.choices[0].delta.function_call for c in chunks if c.choices[0].delta.function_call]
    assert [call.name for call in calls if call.name] == ["get_weather"]
    plain = create(**asked).choices[0].message.function_call
    assert "".join(call.arguments for call in calls) == plain.arguments
    assert chunks[-1].choices[0].finish_reason == "function_call"


def test_official_tools(create: Any) -> None:
    asked = {"tools": OFFICIAL, "tool_choice": "required"}
    choice = create(**asked).choices[0]
    assert choice.finish_reason == "function_call"
    jsonschema.validate(json.loads(choice.message.function_call.arguments), SCHEMA)
    assert choice.message.content.startswith("get_weather\n```python\ntool_call(")
    reply = create(messages=[ASK, choice.message, RESULT], tools=OFFICIAL, max_tokens=24)
    assert reply.choices[0].message.role == "assistant"


def test_streamed_official_tools(create: Any) -> None:
    chunks = list(create(tools=OFFICIAL, tool_choice="required", stream=True))
    last = chunks[-1].choices[0]
    assert last.finish_reason == "function_call"
    jsonschema.validate(json.loads(last.delta.function_call.arguments), SCHEMA)
    content = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    spoken = {"role": "assistant", "content": content}
    stream = create(messages=[ASK, spoken, RESULT], tools=OFFICIAL, max_tokens=24, stream=True)
    assert list(stream)[-1].choices[0].finish_reason
