"""LiteLLM's library, told that the server is OpenAI's."""

import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks for one on import

import litellm
import pytest

from tests.clients.trips import Trip
from tests.support.servers import Server
from tests.support.weather import WEATHER

_HELLO = [{"role": "user", "content": "你好"}]
_ASKED = [{"role": "user", "content": "北京的天气怎么样？"}]


@pytest.fixture
def options(server: Server) -> dict[str, Any]:
    """Of every call."""
    return {
        "model": "openai/chatglm3-6b",
        "api_base": server.base_url,
        "api_key": "none",
        "temperature": 0,
        "max_retries": 0,
    }


def test_a_chat_and_its_stream(options: dict[str, Any]) -> None:
    reply = litellm.completion(messages=_HELLO, **options)
    text = reply.choices[0].message.content
    assert "glm3edge" in text
    chunks = list(litellm.completion(messages=_HELLO, stream=True, **options))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop(options: dict[str, Any], stream: bool) -> None:
    options = {**options, "tools": [WEATHER], "stream": stream}

    def ask(messages: list[Any]) -> Any:
        reply = litellm.completion(messages=messages, **options)
        return (litellm.stream_chunk_builder(list(reply)) if stream else reply).choices[0]

    called = ask(_ASKED)
    assert called.finish_reason == "tool_calls"
    (call,) = called.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "北京"}')
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 22}'}
    assert "22" in ask([*_ASKED, called.message, result]).message.content


@pytest.mark.parametrize("stream", [False, True])
def test_a_structured_reply(options: dict[str, Any], stream: bool) -> None:
    reply = litellm.completion(messages=_ASKED, response_format=Trip, stream=stream, **options)
    whole = litellm.stream_chunk_builder(list(reply)) if stream else reply
    assert Trip.model_validate_json(whole.choices[0].message.content)


def test_responses(options: dict[str, Any]) -> None:
    assert "glm3edge" in litellm.responses(input="你好", **options).output_text


def test_a_long_prompt_is_known_as_such(options: dict[str, Any]) -> None:
    """Routers fall back to a model with a larger context by this."""
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.completion(messages=[{"role": "user", "content": "很长" * 2000}], **options)
