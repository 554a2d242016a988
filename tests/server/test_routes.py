import base64
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from glm3edge.engine.engine import Engine
from glm3edge.limits import MAX_TEXTS
from glm3edge.server.app import create_app
from glm3edge.serving.services import Services
from tests.support.fakes import EOS, FakeBackend, spell
from tests.support.scripted_server import scripted_services

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "你好"}]}


def events(text: str) -> list[Any]:
    """The data of each event; the last one must be [DONE] or an error."""
    data = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data:")]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def test_health(client: TestClient, services: Services) -> None:
    assert client.get("/health").json() == {"status": "ok", "running": 0, "waiting": 0}
    services.engine.close()
    reply = client.get("/health")
    assert (reply.status_code, reply.json()) == (503, {"status": "unavailable"})


def test_models(client: TestClient) -> None:
    card = {
        "id": "fake",
        "object": "model",
        "created": 1,
        "owned_by": "glm3edge",
        "context_length": 4096,
    }
    assert client.get("/v1/models").json() == {"object": "list", "data": [card]}
    assert client.get("/v1/models/fake").json() == card
    assert client.get("/v1/models/gpt-4").status_code == 404


def test_chat(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n 你好!"), EOS]
    reply = client.post("/v1/chat/completions", json=HELLO | {"model": "any name"})
    assert reply.status_code == 200
    body = reply.json()
    assert body["object"] == "chat.completion"
    assert body["model"] == "fake"
    message = {"role": "assistant", "content": "你好!", "refusal": None}
    assert body["choices"][0]["message"] == message


def test_streamed_chat(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n 你好!"), EOS]
    reply = client.post("/v1/chat/completions", json=HELLO | {"stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    *chunks, done = events(reply.text)
    assert done == "[DONE]"
    content = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert content == "你好!"


def test_no_event_is_split_by_any_line_splitter(backend: FakeBackend, client: TestClient) -> None:
    """U+0085, U+2028 and U+2029 end lines for str.splitlines and so for httpx's clients."""
    text = "a\x85b\u2028c\u2029d\x0be\x0cf\x1cg\r\nh"
    backend.reply_for = lambda _prompt: [*spell("\n" + text), EOS]
    reply = client.post("/v1/chat/completions", json=HELLO | {"stream": True})
    lines = reply.content.decode().splitlines()
    assert all(line == "" or line.startswith("data: ") for line in lines)
    *chunks, _ = [json.loads(line[6:]) for line in lines if line and line != "data: [DONE]"] + [0]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == text


@pytest.mark.parametrize("stream", [False, True])
def test_too_long_is_refused_before_any_stream(client: TestClient, stream: bool) -> None:
    body = HELLO | {"max_tokens": 4090, "stream": stream}
    reply = client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "context_length_exceeded")
    assert re.findall(r"\d+", error["message"]) == ["4096", "4102", "12", "4090"]


def test_a_failure_in_a_stream_is_its_last_event(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: spell("\nab")  # runs out of script
    reply = client.post("/v1/chat/completions", json=HELLO | {"stream": True})
    assert reply.status_code == 200
    *chunks, last = events(reply.text)
    assert last["error"]["type"] == "server_error"
    assert all("choices" in chunk for chunk in chunks)


@pytest.mark.slow
def test_a_full_queue_is_a_429(
    backend: FakeBackend, client: TestClient, services: Services
) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda _prompt: [*spell("\nok"), EOS]
    with ThreadPoolExecutor(70) as pool:
        waiting = [pool.submit(client.post, CHAT, json=HELLO) for _ in range(68)]
        while services.engine.num_running + services.engine.num_waiting < 68:
            time.sleep(0.01)
        for stream in (False, True):
            reply = client.post(CHAT, json=HELLO | {"stream": stream})
            assert reply.status_code == 429
            assert reply.json()["error"]["code"] == "queue_full"
            assert 1 <= int(reply.headers["Retry-After"]) <= 60
        backend.gate.release(10_000)
        assert {future.result().status_code for future in waiting} == {200}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (CHAT, HELLO | {"n": 3}, 200),
        (CHAT, HELLO | {"n": 4}, 400),
        (CHAT, HELLO | {"n": 64}, 400),
        ("/v1/completions", {"prompt": "hi", "n": 64}, 200),  # they come one after another
    ],
)
def test_choices_that_never_fit_the_queue(
    backend: FakeBackend, path: str, body: dict[str, Any], status: int, stream: bool
) -> None:
    backend.reply_for = lambda _prompt: [*spell("\nok"), EOS]
    engine = Engine(backend, use_drafts=False, max_running=1, max_waiting=2)
    settings = load_settings(allowed_hosts=("testserver",))
    with TestClient(create_app(scripted_services(engine, backend), settings)) as client:
        reply = client.post(path, json=body | {"stream": stream})
    assert reply.status_code == status
    if status == 400:
        error = reply.json()["error"]
        assert error["param"] == "n"
        assert error["message"].startswith("n is at most 3 here")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", HELLO),
        ("/completions", {"prompt": "hi"}),
        ("/embeddings", {"input": "hi"}),
        ("/responses", {"input": "hi"}),
    ],
)
def test_paths_without_v1(
    backend: FakeBackend, client: TestClient, path: str, body: dict[str, Any]
) -> None:
    """Some clients want a base URL that ends with /v1, others one without it."""
    backend.reply_for = lambda _prompt: [*spell("\nok"), EOS]
    made, same = (client.post(f"{prefix}{path}", json=body) for prefix in ("", "/v1"))
    assert (made.status_code, same.status_code) == (200, 200)
    assert made.json().keys() == same.json().keys()
    wrong = body | {"user": 5, "metadata": 5}
    assert client.post(path, json=wrong).json() == client.post(f"/v1{path}", json=wrong).json()


def test_models_without_v1(client: TestClient) -> None:
    for path in ("/models", "/models/fake", "/models/none"):
        found, same = client.get(path), client.get(f"/v1{path}")
        assert found.status_code == same.status_code
        assert found.json().get("data") == same.json().get("data")


def test_responses_without_v1(client: TestClient, backend: FakeBackend) -> None:
    backend.reply_for = lambda _prompt: [*spell("\nok"), EOS]
    made = client.post("/responses", json={"input": "hi"}).json()
    assert client.get(f"/v1/responses/{made['id']}").json() == made
    assert client.get(f"/responses/{made['id']}/input_items").json()["data"]
    assert client.delete(f"/responses/{made['id']}").json()["deleted"]


def test_several_choices(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n你好"), EOS]
    body = client.post(CHAT, json=HELLO | {"n": 3}).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in body["choices"]} == {"你好"}
    one = client.post(CHAT, json=HELLO).json()["usage"]
    assert body["usage"]["prompt_tokens"] == one["prompt_tokens"]
    assert body["usage"]["completion_tokens"] == 3 * one["completion_tokens"]


def test_several_streamed_choices(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n你好"), EOS]
    options = {"n": 3, "stream": True, "stream_options": {"include_usage": True}}
    *chunks, usage, done = events(client.post(CHAT, json=HELLO | options).text)
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 3 * 8
    texts, reasons = ["", "", ""], []
    for chunk in chunks:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["delta"].get("content", "")
        reasons += [choice["finish_reason"]] if choice["finish_reason"] else []
    assert texts == ["你好"] * 3
    assert reasons == ["stop"] * 3


def test_a_failure_of_the_engine_is_a_500(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: []
    reply = client.post("/v1/chat/completions", json=HELLO)
    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "engine_error"


@pytest.mark.parametrize("stream", [False, True])
def test_a_closed_engine_is_a_503(client: TestClient, services: Services, stream: bool) -> None:
    services.engine.close()
    reply = client.post("/v1/chat/completions", json=HELLO | {"stream": stream})
    assert reply.status_code == 503
    assert reply.json()["error"]["code"] == "server_shutting_down"


def test_a_bug_tells_the_client_nothing(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(_self: object, _request: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(type(services.chat), "prepare", bug)
    reply = client.post("/v1/chat/completions", json=HELLO)
    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "internal_error"
    assert "secret" not in reply.text


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0]",
        ),
        (HELLO | {"temperature": 3}, "temperature"),
        (HELLO | {"max_tokens": 0}, "max_tokens"),
        (HELLO | {"top_p": -0.1}, "top_p"),
        (HELLO | {"tools": [{"type": "function"}]}, "tools[0].function"),
        (HELLO | {"n": 0}, "n"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "c"}]}, "messages[0]"),
    ],
)
def test_wrong_fields_are_named(client: TestClient, body: dict[str, Any], param: str) -> None:
    reply = client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert param in error["message"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b'"text"'])
def test_a_body_that_is_no_object(client: TestClient, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    reply = client.post("/v1/chat/completions", content=content, headers=headers)
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


def test_unknown_routes_and_methods(client: TestClient) -> None:
    reply = client.get("/v1/nothing")
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"
    reply = client.get("/v1/chat/completions")
    assert reply.status_code == 405
    assert reply.json()["error"]["code"] == "method_not_allowed"
    assert "POST" in reply.headers["allow"]


def embed(client: TestClient, **body: Any) -> list[Any]:
    reply = client.post("/v1/embeddings", json=body)
    assert reply.status_code == 200, reply.text
    data = reply.json()["data"]
    assert [item["index"] for item in data] == list(range(len(data)))
    return [item["embedding"] for item in data]


def test_embeddings(client: TestClient) -> None:
    one, two = embed(client, input=["你好", "ab"])
    assert embed(client, input="你好") == [one]
    assert embed(client, input=spell("ab")) == [two]
    assert embed(client, input=[spell("你好"), spell("ab")]) == [one, two]
    assert np.linalg.norm(one) == pytest.approx(1)
    (encoded,) = embed(client, input="ab", encoding_format="base64")
    np.testing.assert_array_equal(
        np.frombuffer(base64.b64decode(encoded), "<f4"), np.array(two, dtype=np.float32)
    )
    (short,) = embed(client, input="ab", dimensions=2)
    np.testing.assert_allclose(short, np.array(two[:2]) / np.linalg.norm(two[:2]), rtol=1e-6)


def test_embedding_usage_counts_tokens(client: TestClient) -> None:
    usage = client.post("/v1/embeddings", json={"input": ["你好", "a"]}).json()["usage"]
    assert usage["prompt_tokens"] == usage["total_tokens"] == 6 + 1 + 2 * len(["[gMASK]", "sop"])


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": ""}, "input", None),
        ({"input": ["a", ""]}, "input", None),
        ({"input": []}, "input", None),
        ({"input": [5000]}, "input", None),
        ({"input": "x" * 5000}, "input", "context_length_exceeded"),
        ({"input": "x", "dimensions": 5}, "dimensions", None),
        ({"input": "x", "encoding_format": "hex"}, "encoding_format", None),
        ({"input": {"a": 1}}, "input", None),
        ({"input": ["a"] * (MAX_TEXTS + 1)}, "input", None),
    ],
)
def test_wrong_embedding_inputs(
    client: TestClient, body: dict[str, Any], param: str, code: str | None
) -> None:
    reply = client.post("/v1/embeddings", json=body)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


@pytest.mark.parametrize("ids", [[2000], [5, 100257], [[5], [57668, 53901]], [[2**63]]])
def test_token_ids_of_another_tokenizer(client: TestClient, ids: list[Any]) -> None:
    error = client.post("/v1/embeddings", json={"input": ids}).json()["error"]
    assert error["param"] == "input"
    assert error["message"].startswith("input has token id ")
    assert "this model's are below 2000: send texts" in error["message"]
    assert "check_embedding_ctx_length=False" in error["message"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:8080", True),
        ("https://front.example", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
    ],
)
def test_cors(client: TestClient, origin: str, allowed: bool) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = client.options(
        "/v1/chat/completions",
        headers=headers | {"Access-Control-Request-Headers": "authorization,content-type"},
    )
    reply = client.get("/v1/models", headers=headers)
    for response in (preflight, reply):
        assert response.headers.get("access-control-allow-origin") == (origin if allowed else None)


@pytest.mark.slow
def test_the_document(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert "/v1/chat/completions" in paths
    assert {path for path in paths if not path.startswith(("/v1/", "/api/"))} == {
        "/health",
        "/metrics",
        "/tokenize",
        "/detokenize",
    }
    assert "422" not in json.dumps(paths)


def test_metrics_count_what_was_done(backend: FakeBackend, client: TestClient) -> None:
    assert "glm3edge_running 0.0" in client.get("/metrics").text
    backend.reply_for = lambda _prompt: [*spell("hi"), EOS]
    body = {"messages": [{"role": "user", "content": "hi"}]}
    usage = client.post("/v1/chat/completions", json=body).json()["usage"]
    client.post("/v1/embeddings", json={"input": "hi"})
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'glm3edge_requests_total{reason="stop"} 2.0' in reply.text
    assert f"glm3edge_completion_tokens_total {float(usage['completion_tokens'])}" in reply.text
    assert "glm3edge_rejected_drafts_total 0.0" in reply.text
