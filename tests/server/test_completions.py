"""/v1/completions over HTTP, on a scripted backend."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from glm3edge.limits import MAX_TEXTS
from glm3edge.serving.services import Services
from tests.support.fakes import EOS, FakeBackend, spell
from tests.support.waiting import LEAVING, is_freed, let_one_through, wait_for

COMPLETIONS = "/v1/completions"


def test_a_completion(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: [*spell("疑是地上霜"), EOS]
    body = {"model": "any name", "prompt": "床前明月光，", "max_tokens": 30}
    reply = client.post(COMPLETIONS, json=body)
    assert reply.status_code == 200
    assert reply.json()["model"] == "fake"
    assert reply.json()["choices"][0]["text"] == "疑是地上霜"


def test_a_streamed_completion(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: [*spell("疑是"), EOS]
    reply = client.post(COMPLETIONS, json={"prompt": "床前", "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    *data, done = [line[6:] for line in reply.text.split("\n\n") if line.startswith("data: ")]
    assert done == "[DONE]"
    assert "".join(json.loads(item)["choices"][0]["text"] for item in data) == "疑是"
    assert not any("usage" in json.loads(item) for item in data)


def test_usage_of_a_stream_is_null_until_its_end(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: [*spell("疑是"), EOS]
    body = {"prompt": "床前", "stream": True, "stream_options": {"include_usage": True}}
    lines = client.post(COMPLETIONS, json=body).text.split("\n\n")
    *chunks, last = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert chunks
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["usage"]["completion_tokens"] == len("疑是".encode()) + 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": 5}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt[0]"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": ["a", 5]}, "prompt[1]"),
        ({"prompt": {"text": "a"}}, "prompt"),
        ({"prompt": [9999]}, "prompt"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "a", "logprobs": 21}, "logprobs"),
        ({"prompt": "a", "logprobs": "many"}, "logprobs"),
        ({"prompt": "a", "n": 0}, "n"),
        ({"prompt": ["a"] * (MAX_TEXTS + 1)}, "prompt"),
        ({"prompt": ["a"] * (MAX_TEXTS // 2 + 1), "n": 2}, "n"),
        ({"prompt": "a", "temperature": 3}, "temperature"),
        ({"prompt": "a", "suffix": "b"}, "suffix"),
        ({"prompt": "a", "best_of": 3}, "best_of"),
        ({"prompt": "a", "best_of": 0}, "best_of"),
        ({"prompt": "a", "echo": True, "logprobs": 1}, "logprobs"),
        ({"prompt": "a", "logit_bias": {"9999": 1}}, "logit_bias"),
        ({"prompt": "a", "priority": "none"}, "priority"),
        ({"prompt": "a", "stop_token_ids": [9999]}, "stop_token_ids"),
        ({"prompt": "a", "stop_token_ids": ["2"]}, "stop_token_ids[0]"),
        ({"prompt": "a", "structured_outputs": {"regex": "a"}}, "structured_outputs.grammar"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_wrong_fields_are_named(
    client: TestClient, body: dict[str, Any], param: str, stream: bool
) -> None:
    reply = client.post(COMPLETIONS, json=body | {"stream": stream})
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert param in error["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_too_long_is_refused_before_any_stream(client: TestClient, stream: bool) -> None:
    body = {"prompt": ["好", "好" * 2000], "stream": stream}
    error = client.post(COMPLETIONS, json=body).json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "prompt")
    assert "at least 6000" in error["message"]


def test_half_of_a_surrogate_pair_is_a_question_mark(
    backend: FakeBackend, client: TestClient
) -> None:
    """JSON can spell one; UTF-8 cannot, so neither can a prompt nor a reply."""
    backend.reply_for = lambda _prompt: [*spell("!"), EOS]
    content = json.dumps({"prompt": "好\ud83d", "echo": True}).encode()
    headers = {"Content-Type": "application/json"}
    reply = client.post(COMPLETIONS, content=content, headers=headers)
    assert reply.status_code == 200
    assert reply.json()["choices"][0]["text"] == "好?!"


def test_more_prompts_than_may_wait_are_served(backend: FakeBackend, client: TestClient) -> None:
    backend.reply_for = lambda _prompt: [*spell("好"), EOS]
    reply = client.post(COMPLETIONS, json={"prompt": ["你"] * 100})
    assert reply.status_code == 200
    assert [choice["index"] for choice in reply.json()["choices"]] == list(range(100))


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_a_full_queue_is_a_429(
    backend: FakeBackend, client: TestClient, services: Services, stream: bool
) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda _prompt: [*spell("好"), EOS]
    with ThreadPoolExecutor(70) as pool:
        waiting = [pool.submit(client.post, COMPLETIONS, json={"prompt": "a"}) for _ in range(67)]
        wait_for(lambda: services.engine.num_running + services.engine.num_waiting == 67)
        reply = client.post(COMPLETIONS, json={"prompt": ["a", "b"], "stream": stream})
        assert reply.status_code == 429
        assert reply.json()["error"]["code"] == "queue_full"
        backend.gate.release(10_000)
        assert {future.result().status_code for future in waiting} == {200}


def test_a_closed_engine_is_a_503(client: TestClient, services: Services) -> None:
    services.engine.close()
    reply = client.post(COMPLETIONS, json={"prompt": "a"})
    assert reply.status_code == 503


@pytest.mark.slow
def test_leaving_frees_the_sequence(backend: FakeBackend, url: str) -> None:
    backend.reply_for = lambda _prompt: spell("x" * 3000)
    backend.gate = threading.Semaphore(3)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}{COMPLETIONS}", json={"prompt": "a", "max_tokens": 3000}, timeout=LEAVING)
    wait_for(lambda: let_one_through(backend) or is_freed(backend))
    assert backend.samplers[0].position < 3000
