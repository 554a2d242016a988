"""The routes of responses over a scripted backend."""

import json
import threading
from typing import Any

import httpx
import pytest
from openai.types import responses as official
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from glm3edge.serving.services import Services
from tests.support.fakes import EOS, OBSERVATION, FakeBackend, spell
from tests.support.waiting import LEAVING, is_freed, let_one_through, wait_for

URL = "/v1/responses"
HELLO = {"input": "你好"}
HELLO_ITEMS = [{"role": "user", "content": "你好"}]
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
CALLS_WEATHER = [*spell('weather\n```python\ntool_call(city="北京")\n```'), OBSERVATION]
OFFICIAL: TypeAdapter[Any] = TypeAdapter(official.ResponseStreamEvent)


def says(backend: FakeBackend, text: str) -> None:
    backend.reply_for = lambda _prompt: [*spell(f"\n{text}"), EOS]


def create(client: TestClient, **fields: Any) -> official.Response:
    reply = client.post(URL, json=HELLO | fields)
    assert reply.status_code == 200, reply.text
    return official.Response.model_validate(reply.json())


def stream(client: TestClient, **fields: Any) -> list[Any]:
    reply = client.post(URL, json=HELLO | {"stream": True} | fields)
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = []
    for block in reply.text.strip().split("\n\n"):
        name, data = block.split("\n")
        events.append(OFFICIAL.validate_json(data.removeprefix("data: ")))
        assert name == f"event: {events[-1].type}"
    return events


def prompts(backend: FakeBackend) -> list[str]:
    """What the model has read of each request, without control tokens."""
    return [
        bytes(token - 3 for token in held if 3 <= token < 259).decode(errors="replace")
        for held in backend.memory.values()
    ]


def error_of(reply: Any) -> dict[str, Any]:
    error: dict[str, Any] = reply.json()["error"]
    return error


def test_a_response(backend: FakeBackend, client: TestClient) -> None:
    says(backend, "您好!")
    response = create(client, model="any name", metadata={"a": "b"})
    assert response.output_text == "您好!"
    assert (response.model, response.metadata) == ("fake", {"a": "b"})


def test_a_streamed_response(backend: FakeBackend, client: TestClient) -> None:
    says(backend, "您好!")
    events = stream(client)
    assert events[-1].type == "response.completed"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == events[-1].response.output_text == "您好!"
    assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_chain(backend: FakeBackend, client: TestClient, streamed: bool) -> None:
    says(backend, "天蓝")
    options = {"input": "第一句", "instructions": "老规矩"}
    first = stream(client, **options)[-1].response if streamed else create(client, **options)
    says(backend, "草绿")
    second = create(client, input="第二句", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    create(client, input="第三句", previous_response_id=second.id, instructions="新规矩")
    last = max(prompts(backend), key=len)
    parts = ["新规矩", "第一句", "天蓝", "第二句", "草绿", "第三句"]
    places = [last.find(part) for part in parts]
    assert places == sorted(places)
    assert -1 not in places
    assert "老规矩" not in last


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_and_its_result(backend: FakeBackend, client: TestClient, streamed: bool) -> None:
    backend.reply_for = lambda _prompt: CALLS_WEATHER
    first = stream(client, tools=[TOOL])[-1].response if streamed else create(client, tools=[TOOL])
    (call,) = first.output
    assert isinstance(call, official.ResponseFunctionToolCall)
    assert json.loads(call.arguments) == {"city": "北京"}
    says(backend, "晴天")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "晴, 22 度"}
    second = create(client, input=[result], previous_response_id=first.id, tools=[TOOL])
    assert second.output_text == "晴天"
    last = max(prompts(backend), key=len)
    assert "tool_call(city='北京')" in last
    assert "晴, 22 度" in last


@pytest.mark.parametrize("streamed", [False, True])
def test_an_agent_s_tools(backend: FakeBackend, client: TestClient, streamed: bool) -> None:
    """As Codex sends them by default; it knows a call in a namespace by both names only."""
    tools = [
        TOOL,
        {"type": "namespace", "name": "mcp__demo", "tools": [TOOL]},
        {"type": "custom", "name": "apply_patch"},
        {"type": "web_search", "external_web_access": False},
    ]

    def made(**fields: Any) -> official.Response:
        body = {"tools": tools, "store": False} | fields
        if not streamed:
            return create(client, **body)
        response: official.Response = stream(client, **body)[-1].response
        return response

    said: list[Any] = [{"role": "user", "content": "天气?"}]
    calls = [
        "mcp__demo.weather\n```python\ntool_call(city='北京')\n```",
        "apply_patch\n```python\ntool_call(input='+晴')\n```",
    ]
    replies = [[*spell(call), OBSERVATION] for call in calls]
    backend.reply_for = lambda _prompt: replies.pop(0)
    while replies:
        response = made(input=said)
        assert [tool.type for tool in response.tools] == ["function", "namespace", "custom"]
        (item,) = response.output
        output = {"type": f"{item.type}_output", "call_id": item.call_id, "output": "好"}  # type: ignore[union-attr]
        said += [item.model_dump(exclude_none=True), output]
    first, _, second, _ = said[1:]
    assert (first["namespace"], first["name"]) == ("mcp__demo", "weather")
    assert (second["type"], second["input"]) == ("custom_tool_call", "+晴")
    says(backend, "晴天")
    assert made(input=said).output_text == "晴天"
    last = max(prompts(backend), key=len)
    assert all(call in last for call in calls)
    assert "web_search" not in last


@pytest.mark.parametrize("streamed", [False, True])
def test_a_loop_whose_items_are_only_referred_to(
    backend: FakeBackend, client: TestClient, streamed: bool
) -> None:
    """As the AI SDK goes on by default: all is sent again, what was answered by its id."""
    backend.reply_for = lambda _prompt: CALLS_WEATHER
    first = stream(client, tools=[TOOL])[-1].response if streamed else create(client, tools=[TOOL])
    (call,) = first.output
    assert isinstance(call, official.ResponseFunctionToolCall)
    said: list[dict[str, Any]] = [
        {"role": "user", "content": "天气?"},
        {"type": "item_reference", "id": call.id},
        {"type": "function_call_output", "call_id": call.call_id, "output": "晴"},
    ]
    says(backend, "晴天")
    second = create(client, input=said, tools=[TOOL])
    items = client.get(f"{URL}/{second.id}/input_items", params={"order": "asc"}).json()["data"]
    assert [item["type"] for item in items] == ["message", "function_call", "function_call_output"]
    says(backend, "好")
    said += [{"id": second.output[0].id}, {"role": "user", "content": "谢谢"}]
    create(client, input=said, tools=[TOOL])
    last = max(prompts(backend), key=len)
    places = [last.find(part) for part in ("天气?", "tool_call(city='北京')", "晴天", "谢谢")]
    assert places == sorted(places)
    assert -1 not in places


def test_an_item_that_is_not_kept_cannot_be_referred_to(
    backend: FakeBackend, client: TestClient
) -> None:
    says(backend, "您好")
    response = create(client, store=False)
    reply = client.post(URL, json={"input": [{"id": response.output[0].id}, *HELLO_ITEMS]})
    assert (reply.status_code, error_of(reply)["param"]) == (400, "input[0].id")


def test_an_unfinished_call_is_replayed(backend: FakeBackend, client: TestClient) -> None:
    says(backend, "好")
    call = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": '{"ci'}
    result = {"type": "function_call_output", "call_id": "c", "output": "参数不全"}
    for status in ({}, {"status": "incomplete"}, {"status": "in_progress"}):
        create(client, input=[*HELLO_ITEMS, call | status, result])
        assert 'tool_call({"ci)' in max(prompts(backend), key=len)
        create(client, input=[*HELLO_ITEMS, call | status])


def test_what_is_kept_can_be_had_and_deleted(backend: FakeBackend, client: TestClient) -> None:
    says(backend, "您好")
    response = create(client, instructions="简短")
    assert official.Response.model_validate(client.get(f"{URL}/{response.id}").json()) == response
    deleted = client.delete(f"{URL}/{response.id}").json()
    assert deleted == {"id": response.id, "object": "response", "deleted": True}
    for call in (client.get, client.delete):
        reply = call(f"{URL}/{response.id}")
        assert reply.status_code == 404
        assert response.id in error_of(reply)["message"]
        assert error_of(reply)["type"] == "invalid_request_error"
    assert client.get(f"{URL}/{response.id}/input_items").status_code == 404


def test_input_items(backend: FakeBackend, client: TestClient) -> None:
    says(backend, "二")
    first = create(client, input="一", instructions="简短")
    second = create(client, input="三", previous_response_id=first.id)
    url = f"{URL}/{second.id}/input_items"
    items = client.get(url).json()
    assert [item["content"][0]["text"] for item in items["data"]] == ["三", "二", "一"]
    assert [item["content"][0]["type"] for item in items["data"]] == [
        "input_text",
        "output_text",
        "input_text",
    ]
    official.ResponseItemList.model_validate(items)
    page = client.get(url, params={"order": "asc", "limit": 1}).json()
    assert (page["first_id"], page["has_more"]) == (items["data"][2]["id"], True)
    reply = client.get(url, params={"limit": 0})
    assert (reply.status_code, error_of(reply)["param"]) == (400, "limit")


@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_not_to_be_kept_is_not(
    backend: FakeBackend, client: TestClient, streamed: bool
) -> None:
    says(backend, "您好")
    response = stream(client, store=False)[-1].response if streamed else create(client, store=False)
    assert response.to_dict()["store"] is False
    assert client.get(f"{URL}/{response.id}").status_code == 404
    reply = client.post(URL, json=HELLO | {"previous_response_id": response.id})
    assert reply.status_code == 400
    error = error_of(reply)
    assert error["code"] == "previous_response_not_found"
    assert error["param"] == "previous_response_id"
    assert response.id in error["message"]


def test_a_response_is_not_streamed_again(backend: FakeBackend, client: TestClient) -> None:
    says(backend, "您好")
    reply = client.get(f"{URL}/{create(client).id}", params={"stream": True})
    assert (reply.status_code, error_of(reply)["param"]) == (400, "stream")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": 3}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0]"),
        ({"input": [{"content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 3}]}, "input[0].content"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input[0].content[0].type",
        ),
        (
            {"input": [{"type": "function_call", "call_id": "c", "name": "x", "arguments": 1}]},
            "input[0].arguments",
        ),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
            "input[0].call_id",
        ),
        (HELLO | {"temperature": 3}, "temperature"),
        (HELLO | {"max_output_tokens": 0}, "max_output_tokens"),
        (HELLO | {"truncation": "oldest"}, "truncation"),
        (HELLO | {"background": True}, "background"),
        (HELLO | {"conversation": {"id": "conv_1"}}, "conversation"),
        (HELLO | {"prompt": {"id": "pmpt_1"}}, "prompt"),
        (HELLO | {"tools": [{"type": "web_search"}]}, "tools[0].type"),
        (HELLO | {"tools": [{"type": "function"}]}, "tools[0].name"),
        (HELLO | {"tool_choice": "required"}, "tool_choice"),
        (HELLO | {"text": {"format": {"type": "yaml"}}}, "text.format"),
        (HELLO | {"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
    ],
)
def test_wrong_fields_are_named(client: TestClient, body: dict[str, Any], param: str) -> None:
    reply = client.post(URL, json=body)
    assert reply.status_code == 400
    error = error_of(reply)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert param in error["message"]


def test_an_input_that_is_too_long(client: TestClient) -> None:
    for streamed in (False, True):
        body = HELLO | {"max_output_tokens": 4090, "stream": streamed}
        reply = client.post(URL, json=body)
        assert reply.status_code == 400
        error = error_of(reply)
        assert (error["code"], error["param"]) == ("context_length_exceeded", "input")
        assert "messages" not in error["message"]


def test_a_failure_in_a_stream_is_its_last_event(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: spell("\nab")  # runs out of script
    events = stream(client)
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.code == "server_error"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert client.get(f"{URL}/{events[-1].response.id}").status_code == 404


def test_a_bug_in_a_stream_tells_the_client_nothing(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(_self: object, _job: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(type(services.engine), "submit", bug)
    *_, last = stream(client)
    assert (last.type, last.code) == ("error", "internal_error")
    assert "secret" not in last.message
    assert last.model_extra["error"]["type"] == "server_error"  # as Open Responses has it


@pytest.mark.parametrize("streamed", [False, True])
def test_a_closed_engine_is_a_503(client: TestClient, services: Services, streamed: bool) -> None:
    services.engine.close()
    reply = client.post(URL, json=HELLO | {"stream": streamed})
    assert reply.status_code == 503


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
def test_leaving_frees_the_sequence_and_keeps_nothing(
    backend: FakeBackend, services: Services, url: str, streamed: bool
) -> None:
    backend.reply_for = lambda _prompt: spell("\n" + "x" * 3000)
    backend.gate = threading.Semaphore(3)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}{URL}", json=HELLO | {"stream": streamed}, timeout=LEAVING)
    wait_for(lambda: let_one_through(backend) or is_freed(backend))
    assert backend.samplers[0].position < 3000
    assert services.responses.num_bytes == 0


def test_browsers_may_delete(client: TestClient) -> None:
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "DELETE"}
    assert client.options(f"{URL}/resp_1", headers=headers).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_half_of_a_surrogate_pair_is_a_question_mark(client: TestClient, stream: bool) -> None:
    """As JavaScript cuts an emoji: the reply repeats the instructions, and could not."""
    body = {"input": "\ud83d", "instructions": "\ud83d", "stream": stream}
    reply = client.post(
        URL, content=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    assert reply.status_code == 200
    assert '"instructions":"?"' in reply.text
    assert "response.failed" not in reply.text
