"""Prompt and max_tokens against the context: one rule on every route, and an option that clamps."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from tests.support.fakes import EOS, FakeBackend, spell

CONTEXT_SIZE = 8192
NUM_PROMPT_TOKENS = {"chat": 12, "completions": 8, "responses": 12}  # of bodies() below


def bodies(max_tokens: int) -> dict[str, tuple[str, dict[str, Any]]]:
    messages = [{"role": "user", "content": "你好"}]
    return {
        "chat": ("/v1/chat/completions", {"messages": messages, "max_tokens": max_tokens}),
        "new name": (
            "/v1/chat/completions",
            {"messages": messages, "max_completion_tokens": max_tokens},
        ),
        "completions": ("/v1/completions", {"prompt": "你好", "max_tokens": max_tokens}),
        "responses": ("/v1/responses", {"input": "你好", "max_output_tokens": max_tokens}),
        "functions": (
            "/v1/chat/completions",
            {"messages": messages, "max_tokens": max_tokens, "functions": [{"name": "f"}]},
        ),
    }


ROUTES = list(bodies(1))


@pytest.fixture
def backend() -> FakeBackend:
    backend = FakeBackend(batch_size=512, context_size=CONTEXT_SIZE)
    backend.reply_for = lambda _prompt: [*spell("好"), EOS]
    return backend


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("max_tokens", [8192, 8191, 8193, 20_000, 10**9])
@pytest.mark.parametrize("route", ROUTES)
def test_what_does_not_fit_is_refused_however_large(
    client: TestClient, route: str, max_tokens: int, stream: bool
) -> None:
    """The mission's own case: 8192 new tokens asked of a context of 8192."""
    path, body = bodies(max_tokens)[route]
    reply = client.post(path, json=body | {"stream": stream})
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert "maximum context length is 8192 tokens" in error["message"]
    assert f"{max_tokens} in the completion" in error["message"]
    assert "--clamp-max-tokens" in error["message"]


@pytest.mark.parametrize("route", ["chat", "completions", "responses"])
def test_what_just_fits_is_served(client: TestClient, route: str) -> None:
    left = CONTEXT_SIZE - NUM_PROMPT_TOKENS[route]
    for max_tokens, status in ((left, 200), (left + 1, 400)):
        path, body = bodies(max_tokens)[route]
        assert client.post(path, json=body).status_code == status, max_tokens


@pytest.mark.parametrize("clamp_max_tokens", [True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("max_tokens", [8192, 20_000])
@pytest.mark.parametrize("route", ROUTES)
def test_the_option_clamps(client: TestClient, route: str, max_tokens: int, stream: bool) -> None:
    path, body = bodies(max_tokens)[route]
    reply = client.post(path, json=body | {"stream": stream})
    assert reply.status_code == 200
    assert "好" in reply.text


@pytest.mark.parametrize("clamp_max_tokens", [True])
def test_a_clamped_reply_ends_with_length(client: TestClient, backend: FakeBackend) -> None:
    backend.context_size = 64
    backend.reply_for = lambda _prompt: spell("x" * 100)
    path, body = bodies(64)["chat"]
    choice = client.post(path, json=body).json()
    assert choice["choices"][0]["finish_reason"] == "length"
    assert choice["usage"]["total_tokens"] == 64


@pytest.mark.parametrize("clamp_max_tokens", [True, False])
def test_a_prompt_that_fills_the_context_is_refused(client: TestClient) -> None:
    long = {"role": "user", "content": "长" * 3000}
    reply = client.post("/v1/chat/completions", json={"messages": [long], "max_tokens": 1})
    assert reply.status_code == 400
    assert "--clamp-max-tokens" not in reply.json()["error"]["message"]


def test_messages_are_always_clamped(client: TestClient) -> None:
    body = {"model": "m", "max_tokens": 64_000, "messages": [{"role": "user", "content": "你好"}]}
    assert client.post("/v1/messages", json=body).status_code == 200


@pytest.mark.parametrize(("clamp_max_tokens", "status"), [(True, 200), (False, 400)])
def test_truncated_conversations(client: TestClient, status: int) -> None:
    old = [{"role": "user", "content": "旧" * 2000}, {"role": "assistant", "content": "好"}]
    body: dict[str, Any] = {"messages": [*old, *old, {"role": "user", "content": "你好"}]}
    body |= {"truncation": "auto", "max_tokens": 20_000}
    reply = client.post("/v1/chat/completions", json=body)
    assert reply.status_code == status
    assert status == 400 or json.loads(reply.text)["truncation"]["dropped_messages"] == 2


def test_the_option_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLM3EDGE_CLAMP_MAX_TOKENS", "1")
    assert load_settings().clamp_max_tokens
    assert not load_settings(clamp_max_tokens=False).clamp_max_tokens
