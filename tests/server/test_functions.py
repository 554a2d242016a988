"""OpenAI's ``functions`` and ``function_call`` over HTTP."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.fakes import ASSISTANT, EOS, OBSERVATION, FakeBackend, spell

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "北京天气"}]
SCHEMA = {"type": "object", "properties": {"城市": {"type": "string"}}}
WEATHER = {"name": "查天气", "description": "某地的天气", "parameters": SCHEMA}
CALL = [
    *spell("\n 查一下"),
    ASSISTANT,
    *spell("查天气\n```python\ntool_call(城市='北京')\n```"),
    OBSERVATION,
]


def post(client: TestClient, **fields: Any) -> Any:
    return client.post(CHAT, json={"messages": HELLO, "functions": [WEATHER], **fields})


def test_a_call(client: TestClient, backend: FakeBackend) -> None:
    backend.reply_for = lambda _prompt: CALL
    (choice,) = post(client, function_call="auto").json()["choices"]
    call = {"name": "查天气", "arguments": '{"城市": "北京"}'}
    message = {"role": "assistant", "content": "查一下", "refusal": None, "function_call": call}
    assert (choice["message"], choice["finish_reason"]) == (message, "function_call")


def test_a_streamed_call(client: TestClient, backend: FakeBackend) -> None:
    backend.reply_for = lambda _prompt: CALL
    text = post(client, stream=True, stream_options={"include_usage": True}).text
    *lines, done = [line[6:] for line in text.split("\n\n") if line.startswith("data: ")]
    assert done == "[DONE]"
    *chunks, usage = [json.loads(line) for line in lines]
    assert usage["usage"]["completion_tokens"] == len(CALL)
    choices = [chunk["choices"][0] for chunk in chunks]
    calls = [c["delta"]["function_call"] for c in choices if "function_call" in c["delta"]]
    assert calls[0]["name"] == "查天气"
    assert all("name" not in call for call in calls[1:])
    assert "".join(call["arguments"] for call in calls) == '{"城市": "北京"}'
    assert "".join(choice["delta"].get("content", "") for choice in choices) == "查一下"
    assert not any("tool_calls" in choice["delta"] for choice in choices)
    assert choices[-1]["finish_reason"] == "function_call"


def test_none_offers_nothing(client: TestClient, backend: FakeBackend) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n好"), EOS]
    (choice,) = post(client, function_call="none").json()["choices"]
    assert choice["finish_reason"] == "stop"
    ids = [token_id for span in backend.batches[0] for token_id in span.token_ids]
    assert "查天气" not in b"".join(map(backend.piece, ids)).decode()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"functions": [{"description": "x"}]}, "functions[0].name"),
        ({"functions": {"name": "x"}}, "functions.name"),
        ({"functions": "x"}, "functions"),
        ({"function_call": "required"}, "function_call"),
        ({"function_call": {}}, "function_call.name"),
        ({"function_call": {"name": "报时"}}, "function_call"),
        ({"tools": [{"type": "function", "function": WEATHER}]}, "functions"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].name"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0]"),
        (
            {"messages": [{"role": "assistant", "function_call": {"name": "f"}}]},
            "messages[0].function_call.arguments",
        ),
    ],
)
def test_what_is_wrong_is_named(client: TestClient, fields: dict[str, Any], param: str) -> None:
    reply = post(client, **fields)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param
