"""Ollama's routes over a scripted backend."""

import json
import threading
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from glm3edge.errors import DecodeError, EngineClosedError, QueueFullError
from glm3edge.server.app import create_app
from glm3edge.server.error_responses import ollama_error
from glm3edge.serving.services import Services
from tests.support.fakes import OBSERVATION, FakeBackend, say, spell
from tests.support.waiting import LEAVING, SECONDS, is_freed, let_one_through, wait_for

CHAT, GENERATE, EMBED, EMBEDDINGS = "/api/chat", "/api/generate", "/api/embed", "/api/embeddings"
HELLO: dict[str, Any] = {"model": "fake", "messages": [{"role": "user", "content": "你好"}]}
PROMPT: dict[str, Any] = {"model": "fake", "prompt": "你好"}
BODIES = {CHAT: HELLO, GENERATE: PROMPT}
WHOLE = {"stream": False}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = [*spell("weather\n```python\ntool_call(city='北京')\n```"), OBSERVATION]


def lines(text: str) -> list[dict[str, Any]]:
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def said(line: dict[str, Any]) -> str:
    text: str = line["message"]["content"] if "message" in line else line["response"]
    return text


def error_of(reply: Any) -> tuple[int, str]:
    body = reply.json()
    assert body.keys() == {"error"}
    assert reply.headers["content-type"].startswith("application/json")
    return reply.status_code, body["error"]


@pytest.mark.parametrize("route", BODIES)
def test_a_stream_is_the_default(backend: FakeBackend, client: TestClient, route: str) -> None:
    backend.reply_for = say("好a\u2028b")
    reply = client.post(route, json=BODIES[route])
    assert reply.headers["content-type"] == "application/x-ndjson"
    found = lines(reply.text)
    assert "".join(map(said, found)) == "好a\u2028b"
    assert [line["done"] for line in found] == [False] * (len(found) - 1) + [True]
    assert {line["model"] for line in found} == {"fake:latest"}
    assert (found[-1]["done_reason"], found[-1]["eval_count"]) == ("stop", 9)
    assert found[-1]["total_duration"] >= found[-1]["prompt_eval_duration"] > 0
    assert client.post(route, json=BODIES[route] | {"stream": None}).text.count("\n") > 1


@pytest.mark.parametrize("route", BODIES)
def test_a_whole_reply(backend: FakeBackend, client: TestClient, route: str) -> None:
    backend.reply_for = say("好a")
    body = client.post(route, json=BODIES[route] | WHOLE).json()
    assert (said(body), body["done"], body["done_reason"]) == ("好a", True, "stop")
    assert (body["prompt_eval_count"], body["eval_count"]) == (12, 5)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_call(backend: FakeBackend, client: TestClient, stream: bool) -> None:
    backend.reply_for = lambda _prompt: CALL
    reply = client.post(CHAT, json=HELLO | {"tools": [TOOL], "stream": stream})
    first = lines(reply.text)[0] if stream else reply.json()
    (call,) = first["message"]["tool_calls"]
    assert call.pop("id").startswith("call_")
    assert call == {"function": {"index": 0, "name": "weather", "arguments": {"city": "北京"}}}
    assert (lines(reply.text)[-1] if stream else first)["done_reason"] == "stop"


def test_a_tools_result_reaches_the_model(backend: FakeBackend, client: TestClient) -> None:
    call = {"function": {"name": "weather", "arguments": {"city": "北京"}}}
    messages = [
        *HELLO["messages"],
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_name": "weather", "content": "晴，22 度"},
    ]
    assert client.post(CHAT, json={"messages": messages} | WHOLE).status_code == 200
    prompt = bytes(n - 3 for n in backend.memory[0] if 3 <= n < 259).decode()
    assert "tool_call(city='北京')" in prompt
    assert "晴，22 度" in prompt


@pytest.mark.parametrize("route", BODIES)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"num_predict": 3}, ("abc", "length")),
        ({"num_predict": 100_000}, ("abcdef", "stop")),
        ({"num_predict": -1}, ("abcdef", "stop")),
        ({"num_ctx": 2}, ("abcdef", "stop")),
        ({"stop": ["de"]}, ("abc", "stop")),
    ],
)
def test_options(
    backend: FakeBackend,
    client: TestClient,
    route: str,
    options: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    backend.reply_for = say("abcdef")
    body = client.post(route, json=BODIES[route] | WHOLE | {"options": options}).json()
    assert (said(body), body["done_reason"]) == expected


def test_a_conversation_goes_on_by_its_context(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = say("一")
    context = client.post(GENERATE, json=PROMPT | WHOLE).json()["context"]
    streamed = lines(client.post(GENERATE, json=PROMPT).text)
    assert [line["context"] for line in streamed if "context" in line] == [context]
    backend.reply_for = say("二")
    body = PROMPT | WHOLE | {"prompt": "再见", "context": context}
    generated = client.post(GENERATE, json=body).json()
    messages = [
        *HELLO["messages"],
        {"role": "assistant", "content": "一"},
        {"role": "user", "content": "再见"},
    ]
    chatted = client.post(CHAT, json={"messages": messages} | WHOLE).json()
    assert generated["prompt_eval_count"] == chatted["prompt_eval_count"]
    assert generated["context"][: len(context)] == context


def test_a_raw_prompt_goes_on_as_it_stands(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = say("座山" * 20)
    body = client.post(GENERATE, json=PROMPT | WHOLE | {"raw": True}).json()
    assert (body["response"], body["prompt_eval_count"]) == ("座山" * 20, 8)  # 6 bytes, 2 before
    assert "context" not in body
    options = {"num_predict": 100_000}
    streamed = lines(client.post(GENERATE, json=PROMPT | {"raw": True, "options": options}).text)
    assert "".join(map(said, streamed)) == "座山" * 20


@pytest.mark.parametrize("route", BODIES)
@pytest.mark.parametrize(("keep_alive", "reason"), [(None, "load"), ("5m", "load"), (0, "unload")])
def test_requests_to_load(
    backend: FakeBackend, client: TestClient, route: str, keep_alive: Any, reason: str
) -> None:
    body = client.post(route, json={"model": "fake", "keep_alive": keep_alive}).json()
    assert (said(body), body["done"], body["done_reason"]) == ("", True, reason)
    assert not backend.batches


def test_a_long_conversation_loses_its_oldest_messages(
    backend: FakeBackend, client: TestClient
) -> None:
    backend.reply_for = say("好")
    turn = [{"role": "user", "content": "长" * 400}, {"role": "assistant", "content": "好"}]
    body = {"messages": [*turn * 5, *HELLO["messages"]]} | WHOLE
    assert client.post(CHAT, json=body).json()["prompt_eval_count"] < 4096
    large = body | {"options": {"num_predict": 20_000}}  # keeps what fits all the same
    assert client.post(CHAT, json=large).json()["prompt_eval_count"] > 2048
    status, message = error_of(client.post(CHAT, json=body | {"truncate": False}))
    assert status == 400
    assert "maximum context length is 4096" in message


def test_vectors(client: TestClient) -> None:
    body = client.post(EMBED, json={"model": "fake", "input": ["a", "b"]}).json()
    assert (len(body["embeddings"]), body["prompt_eval_count"]) == (2, 6)
    assert (body["model"], body["total_duration"] > body["load_duration"] > 0) == (
        "fake:latest",
        True,
    )
    one = client.post(EMBED, json={"input": "a"}).json()["embeddings"]
    assert one == [pytest.approx(body["embeddings"][0])]
    old = client.post(EMBEDDINGS, json={"prompt": "a"}).json()
    assert old == {"embedding": pytest.approx(one[0])}
    short = client.post(EMBED, json={"input": "a", "dimensions": 2}).json()["embeddings"]
    assert len(short[0]) == 2


@pytest.mark.parametrize("given", [None, "", []])
def test_no_text_has_no_vector(client: TestClient, given: Any) -> None:
    assert client.post(EMBED, json={"input": given}).json()["embeddings"] == []
    if given != []:
        assert client.post(EMBEDDINGS, json={"prompt": given}).json() == {"embedding": []}


def test_a_long_text_is_cut(client: TestClient) -> None:
    body = {"input": ["x" * 5000, "y"]}
    assert client.post(EMBED, json=body).json()["prompt_eval_count"] == 4096 + 3
    status, message = error_of(client.post(EMBED, json=body | {"truncate": False}))
    assert (status, "context length is 4096" in message) == (400, True)
    assert client.post(EMBEDDINGS, json={"prompt": "x" * 5000}).status_code == 200


def test_the_models(client: TestClient) -> None:
    (model,) = client.get("/api/tags").json()["models"]
    assert {"name", "model", "modified_at", "size", "digest", "details"} <= model.keys()
    (running,) = client.get("/api/ps").json()["models"]
    assert (running["name"], running["digest"]) == (model["name"], model["digest"])
    for field in ("model", "name"):
        for name in ("fake", "fake:latest"):
            shown = client.post("/api/show", json={field: name}).json()
            assert shown["model_info"]["general.architecture"] == "chatglm"
    assert error_of(client.post("/api/show", json={"model": "llama3"})) == (
        404,
        "model 'llama3' not found: POST /api/show",
    )


def test_the_version_is_one_that_clients_work_with(client: TestClient) -> None:
    version = client.get("/api/version").json()["version"]
    assert [int(number) for number in version.split(".")] >= [0, 6, 4]  # VS Code's least


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain"])
def test_a_body_is_json_whatever_it_says(
    backend: FakeBackend, client: TestClient, content_type: str | None
) -> None:
    """curl, which Ollama's documentation shows, says that it is a form."""
    backend.reply_for = say("好")
    headers = {"Content-Type": content_type} if content_type else {}
    reply = client.post(CHAT, content=json.dumps(HELLO | WHOLE), headers=headers)
    assert said(reply.json()) == "好"


@pytest.mark.parametrize(
    ("route", "fields", "expected"),
    [
        (CHAT, {"messages": "你好"}, "messages: "),
        (CHAT, {"messages": [{"role": "robot"}]}, "messages[0].role: "),
        (CHAT, {"messages": [{"role": "user", "images": ["aGk="]}]}, "describe the image"),
        (GENERATE, {"images": ["aGk="]}, "images: ChatGLM3 reads text only"),
        (CHAT, {"think": True}, "'fake' does not support thinking"),
        (GENERATE, {"think": "high"}, "'fake' does not support thinking"),
        (GENERATE, {"suffix": "end"}, "'fake' does not support insert"),
        (GENERATE, {"template": "{{ .Prompt }}"}, "template: "),
        (GENERATE, {"raw": True, "system": "x"}, "raw mode does not support it"),
        (GENERATE, {"context": [5000]}, "context has token id 5000"),
        (GENERATE, {"context": [1, 2]}, "context: these token ids are not a conversation"),
        (CHAT, {"options": {"temperature": "hot"}}, "options.temperature: "),
        (CHAT, {"format": "xml"}, "format: "),
        (EMBED, {"input": [1, 2]}, "input"),
        (EMBED, {"input": ["x"] * 2049}, "input"),
        (EMBED, {"input": ["a", ""]}, "empty text"),
        (EMBED, {"input": "x", "dimensions": 99}, "dimensions is at most 4"),
    ],
)
def test_wrong_fields_are_named(
    client: TestClient, route: str, fields: dict[str, Any], expected: str
) -> None:
    status, message = error_of(client.post(route, json=BODIES.get(route, {}) | fields))
    assert (status, expected in message) == (400, True), message


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/api/pull", 501),
        ("POST", "/api/push", 501),
        ("POST", "/api/create", 501),
        ("POST", "/api/copy", 501),
        ("DELETE", "/api/delete", 501),
        ("GET", "/api/nothing", 404),
        ("GET", CHAT, 405),
    ],
)
def test_what_is_not_there(client: TestClient, method: str, path: str, expected: int) -> None:
    status, message = error_of(client.request(method, path, json={"model": "x"}))
    assert status == expected
    assert expected != 501 or "glm3edge serve NAME" in message


def test_the_key(services: Services) -> None:
    app = create_app(services, load_settings(api_key="key-of-this-test"))
    with TestClient(app, base_url="http://localhost:8000") as guarded:
        status, message = error_of(guarded.get("/api/tags"))
        assert (status, "Authorization: Bearer KEY" in message) == (401, True)
        key = {"Authorization": "Bearer key-of-this-test"}
        assert guarded.get("/api/tags", headers=key).status_code == 200


def test_the_page_is_there_for_clients_that_probe(client: TestClient) -> None:
    assert client.head("/").status_code == 200


@pytest.mark.parametrize("route", BODIES)
def test_a_failure_in_a_stream_is_its_last_line(
    backend: FakeBackend, client: TestClient, route: str
) -> None:
    backend.reply_for = lambda _prompt: spell("ab")  # runs out of script
    found = lines(client.post(route, json=BODIES[route]).text)
    assert found[-1].keys() == {"error"}
    assert not any(line.get("done") for line in found)
    assert error_of(client.post(route, json=BODIES[route] | WHOLE))[0] == 500


@pytest.mark.parametrize(
    ("exc", "message"),
    [
        (QueueFullError(num_waiting=3, retry_after=9), "try again in 9 s"),
        (EngineClosedError("the server is shutting down"), "shutting down"),
        (DecodeError(-3), "returned -3"),
        (KeyError("secret"), "internal error"),
    ],
)
def test_errors(exc: Exception, message: str) -> None:
    assert message in ollama_error(exc).error
    assert "secret" not in ollama_error(exc).error


def test_a_closed_engine(client: TestClient, services: Services) -> None:
    services.engine.close()
    for route, body in (BODIES | {EMBED: {"input": "x"}}).items():
        assert error_of(client.post(route, json=body))[0] == 503


@pytest.mark.parametrize("route", BODIES)
def test_leaving_a_stream_frees_the_sequence(backend: FakeBackend, url: str, route: str) -> None:
    backend.reply_for = lambda _prompt: spell("x" * 3000)
    backend.gate = threading.Semaphore(5)
    with (
        httpx.Client(base_url=url, timeout=SECONDS) as client,
        client.stream("POST", route, json=BODIES[route]) as reply,
    ):
        next(reply.iter_lines())
    wait_for(lambda: let_one_through(backend) or is_freed(backend))


@pytest.mark.slow
def test_leaving_a_plain_request_frees_the_sequence(backend: FakeBackend, url: str) -> None:
    backend.reply_for = lambda _prompt: spell("x" * 3000)
    backend.gate = threading.Semaphore(3)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}{CHAT}", json=HELLO | WHOLE, timeout=LEAVING)
    wait_for(lambda: let_one_through(backend) or is_freed(backend))
    assert backend.samplers[0].position < 3000


def test_the_api_docs_have_the_routes(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert {CHAT, GENERATE, EMBED, EMBEDDINGS, "/api/tags", "/api/show"} <= schema["paths"].keys()
    assert "prefill_seconds" not in schema["components"]["schemas"]["Usage"]["properties"]
    assert not [name for name in schema["components"]["schemas"] if "__ollama" in name]
