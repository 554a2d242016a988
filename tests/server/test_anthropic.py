"""Anthropic's routes over a scripted backend."""

import json
import threading
from itertools import groupby
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from glm3edge.errors import (
    ContextLengthExceededError,
    DecodeError,
    EngineClosedError,
    QueueFullError,
    TimeoutExceededError,
)
from glm3edge.server.error_responses import message_error
from glm3edge.serving.services import Services
from tests.support.fakes import EOS, OBSERVATION, FakeBackend, spell
from tests.support.waiting import LEAVING, SECONDS, is_freed, let_one_through, wait_for

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
HELLO: dict[str, Any] = {
    "model": "m",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "你好"}],
}
TOOL = {"name": "weather", "input_schema": {"type": "object"}}
CALL = [*spell("weather\n```python\ntool_call(city='北京')\n```"), OBSERVATION]
IMAGE = {"type": "image", "source": {"type": "url", "url": "x"}}
DOCUMENT = {"type": "document", "source": {"type": "text", "data": "x"}}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def events(text: str) -> list[tuple[str, Any]]:
    """Names and data; each event has both."""
    pairs = [event.split("\n") for event in text.split("\n\n") if event]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in pairs
    ]


def error_of(reply: Any) -> tuple[int, str, str]:
    body = reply.json()
    assert (body.keys(), body["type"]) == ({"type", "error", "request_id"}, "error")
    assert body["request_id"] == reply.headers["request-id"] == reply.headers["x-request-id"]
    assert body["error"].keys() - {"details"} == {"type", "message"}
    return reply.status_code, body["error"]["type"], body["error"]["message"]


def test_a_message(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n 你好!"), EOS]
    reply = client.post(MESSAGES, json=HELLO)
    assert reply.status_code == 200
    body = reply.json()
    assert body.pop("id").startswith("msg_")
    assert body == {
        "type": "message",
        "role": "assistant",
        "model": "fake",
        "content": [{"type": "text", "text": "你好!"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": len("\n 你好!".encode()) + 1,
        },
    }
    again = client.post(MESSAGES, json=HELLO).json()["usage"]
    assert again["cache_read_input_tokens"] > 0
    assert again["input_tokens"] + again["cache_read_input_tokens"] == 12


def test_a_streamed_message(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n好a"), EOS]
    reply = client.post(MESSAGES, json=HELLO | {"stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    found = events(reply.text)
    assert [name for name, _ in groupby(name for name, _ in found)] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert all(name == data["type"] for name, data in found)
    texts = [data["delta"]["text"] for name, data in found if "block_delta" in name]
    assert "".join(texts) == "好a"


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_call(backend: FakeBackend, client: TestClient, stream: bool) -> None:
    backend.reply_for = lambda _prompt: CALL
    reply = client.post(MESSAGES, json=HELLO | {"tools": [TOOL], "stream": stream})
    if stream:
        found = events(reply.text)
        block = found[2][1]["content_block"]
        assert block["input"] == {}
        deltas = [data["delta"] for name, data in found if name == "content_block_delta"]
        block["input"] = json.loads("".join(delta["partial_json"] for delta in deltas))
        stop_reason = found[-2][1]["delta"]["stop_reason"]
    else:
        (block,) = reply.json()["content"]
        stop_reason = reply.json()["stop_reason"]
    assert (block["type"], block["name"], block["input"]) == (
        "tool_use",
        "weather",
        {"city": "北京"},
    )
    assert stop_reason == "tool_use"


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence(backend: FakeBackend, client: TestClient, stream: bool) -> None:
    backend.reply_for = lambda _prompt: spell("\n第一句。第二句")
    body = HELLO | {"stop_sequences": ["！", "。"], "stream": stream}
    reply = client.post(MESSAGES, json=body)
    ending = events(reply.text)[-2][1]["delta"] if stream else reply.json()
    assert (ending["stop_reason"], ending["stop_sequence"]) == ("stop_sequence", "。")


def test_max_tokens(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: spell("\nabcdef")
    body = client.post(MESSAGES, json=HELLO | {"max_tokens": 4}).json()
    assert (body["content"][0]["text"], body["stop_reason"]) == ("abcd", "max_tokens")


def test_a_count_is_what_the_message_takes(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: [*spell("\nok"), EOS]
    body = HELLO | {"system": "简短回答", "tools": [TOOL]}
    count = client.post(COUNT, json={k: v for k, v in body.items() if k != "max_tokens"})
    assert count.json() == {
        "input_tokens": client.post(MESSAGES, json=body).json()["usage"]["input_tokens"]
    }


def test_a_count_may_be_larger_than_the_context(client: TestClient) -> None:
    body = {"messages": [{"role": "user", "content": "x" * 5000}]}
    assert client.post(COUNT, json=body).json()["input_tokens"] > 5000


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        (user({"type": "text", "text": "这是什么？"}, IMAGE), "messages[0].content[1]"),
        (user(DOCUMENT), "messages[0].content[0]"),
        (user({"type": "text"}), "messages[0].content[0].text"),
        (user({"type": "text", "text": 3}), "messages[0].content[0].text"),
        (user({"type": "tool_result"}), "messages[0].content[0].tool_use_id"),
        (
            user({"type": "tool_result", "tool_use_id": "a", "content": [IMAGE]}),
            "messages[0].content[0].content[0].type",
        ),
        (user({"type": "tool_result", "tool_use_id": "a"}), "messages[0].content[0].tool_use_id"),
        ({"system": [IMAGE]}, "system[0].type"),
        ({"temperature": 1.5}, "temperature"),
        ({"thinking": True}, "thinking"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"thread": {"type": "create"}}, "thread"),
        ({"mcp_servers": [{"type": "url", "url": "x", "name": "x"}]}, "mcp_servers"),
        ({"compaction": {"type": "summarize"}}, "compaction"),
        ({"messages": [{"role": "assistant", "content": "我 "}]}, "messages[0]"),
        (
            {"messages": [{"role": "user", "content": "长" * 13_000}]},
            "maximum context length is 4096",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_wrong_fields_are_named(
    client: TestClient, fields: dict[str, Any], param: str, stream: bool
) -> None:
    status, kind, message = error_of(
        client.post(MESSAGES, json=HELLO | {"stream": stream} | fields)
    )
    assert (status, kind) == (400, "invalid_request_error")
    assert message.startswith((f"{param}: ", f"{param} ")) or param in message.partition(".")[0]


def test_a_client_learns_that_it_has_to_send_all_messages(client: TestClient) -> None:
    error = client.post(MESSAGES, json=HELLO | {"thread": {"type": "create"}}).json()["error"]
    assert error["details"] == {"error_code": "thread_unsupported_request"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_goes_on_with_the_last_message(
    backend: FakeBackend, client: TestClient, stream: bool
) -> None:
    backend.reply_for = lambda prompt: [*spell(" b c"), EOS] if prompt[-1:] == spell("a") else []
    messages = [*HELLO["messages"], {"role": "assistant", "content": "a"}]
    reply = client.post(MESSAGES, json=HELLO | {"messages": messages, "stream": stream})
    if stream:
        texts = [d["delta"]["text"] for name, d in events(reply.text) if "block_delta" in name]
        assert "".join(texts) == " b c"
    else:
        assert reply.json()["content"] == [{"type": "text", "text": " b c"}]


def test_a_count_of_what_is_no_conversation(client: TestClient) -> None:
    assert error_of(client.post(COUNT, json={}))[:2] == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/messages/batches", (404, "not_found_error")),
        ("GET", MESSAGES, (405, "invalid_request_error")),
        ("GET", COUNT, (405, "invalid_request_error")),
    ],
)
def test_unknown_routes(
    client: TestClient, method: str, path: str, expected: tuple[int, str]
) -> None:
    assert error_of(client.request(method, path))[:2] == expected


def test_other_routes_keep_openais_errors(client: TestClient) -> None:
    for path in ("/v1/messagesabc", "/v1/nothing"):
        assert client.get(path).json()["error"]["code"] == "not_found"


def test_a_body_that_is_no_json(client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    reply = client.post(MESSAGES, content=b"{", headers=headers)
    assert error_of(reply)[:2] == (400, "invalid_request_error")


def test_a_failure_of_the_engine(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: []
    assert error_of(client.post(MESSAGES, json=HELLO))[:2] == (500, "api_error")


def test_a_failure_in_a_stream_is_its_last_event(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: spell("\nab")  # runs out of script
    found = events(client.post(MESSAGES, json=HELLO | {"stream": True}).text)
    name, data = found[-1]
    assert (name, data["type"], data["error"]["type"]) == ("error", "error", "api_error")
    assert found[0][0] == "message_start"


@pytest.mark.parametrize(
    ("exc", "kind", "message"),
    [
        (
            ContextLengthExceededError(
                num_prompt_tokens=1, num_new_tokens=2, context_size=2, param="messages"
            ),
            "invalid_request_error",
            "maximum context length is 2",
        ),
        (QueueFullError(num_waiting=3, retry_after=9), "rate_limit_error", "try again in 9 s"),
        (EngineClosedError("the server is shutting down"), "overloaded_error", "shutting down"),
        (TimeoutExceededError(5), "timeout_error", "longer than 5 s"),
        (DecodeError(-3), "api_error", "returned -3"),
        (KeyError("secret"), "api_error", "internal error"),
    ],
)
def test_error_types(exc: Exception, kind: str, message: str) -> None:
    error = message_error(exc, request_id="req_1").error
    assert error.type == kind
    assert message in error.message
    assert "secret" not in error.message


def test_a_closed_engine(client: TestClient, services: Services) -> None:
    services.engine.close()
    assert error_of(client.post(MESSAGES, json=HELLO))[:2] == (503, "overloaded_error")


def test_leaving_a_stream_frees_the_sequence(backend: FakeBackend, url: str) -> None:
    backend.reply_for = lambda _prompt: spell("\n" + "x" * 3000)
    backend.gate = threading.Semaphore(5)
    body = HELLO | {"stream": True, "max_tokens": 3500}
    with (
        httpx.Client(base_url=url, timeout=SECONDS) as client,
        client.stream("POST", MESSAGES, json=body) as reply,
    ):
        next(line for line in reply.iter_lines() if "content_block_delta" in line)
    wait_for(lambda: let_one_through(backend) or is_freed(backend))


@pytest.mark.slow
def test_leaving_a_plain_request_frees_the_sequence(backend: FakeBackend, url: str) -> None:
    backend.reply_for = lambda _prompt: spell("x" * 3000)
    backend.gate = threading.Semaphore(3)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}{MESSAGES}", json=HELLO | {"max_tokens": 3500}, timeout=LEAVING)
    wait_for(lambda: let_one_through(backend) or is_freed(backend))
    assert backend.samplers[0].position < 3000


def test_the_api_docs_tell_no_fields_that_are_not_sent(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert {MESSAGES, COUNT} <= schema["paths"].keys()
    assert "stop_string" not in schema["components"]["schemas"]["Choice"]["properties"]
    content = schema["components"]["schemas"]["UserMessage"]["properties"]["content"]
    assert {"type": "string"} in content["anyOf"]
