"""A small context and long conversations, asked with OpenAI's client."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support.servers import start_server, stop_server

pytestmark = pytest.mark.live

CONTEXT_SIZE = 256
AUTO = {"truncation": "auto"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    cache = tmp_path_factory.mktemp("cache")
    server = start_server("--ctx-size", str(CONTEXT_SIZE), GLM3EDGE_CACHE_DIR=str(cache))
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client
    assert stop_server(server) == 0


def conversation(num_exchanges: int, *, last: str = "我叫什么名字？") -> list[Any]:
    messages: list[Any] = [{"role": "system", "content": "简短回答"}]
    for number in range(num_exchanges):
        messages.append({"role": "user", "content": f"我叫王小明，这是第{number}句话。"})
        messages.append({"role": "assistant", "content": "你好，王小明。"})
    return [*messages, {"role": "user", "content": last}]


def test_it_is_refused_unless_asked_for(client: openai.OpenAI) -> None:
    for body in ({}, {"truncation": "disabled"}, {"truncation": None}):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(
                model="m", messages=conversation(40), max_tokens=16, extra_body=body
            )
        assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="m", messages=conversation(1), extra_body={"truncation": "always"}
        )
    assert caught.value.param == "truncation"


@pytest.mark.parametrize("max_tokens", [16, None])
def test_the_oldest_exchanges_go(client: openai.OpenAI, max_tokens: int | None) -> None:
    reply = client.chat.completions.create(
        model="m", messages=conversation(40), max_tokens=max_tokens, extra_body=AUTO
    )
    assert reply.usage is not None
    wanted = max_tokens or CONTEXT_SIZE // 4
    told: Any = reply.model_extra
    assert told["truncation"]["dropped_messages"] % 2 == 0
    assert 0 < told["truncation"]["dropped_messages"] < 80
    per_exchange = 2 * told["truncation"]["dropped_tokens"] / told["truncation"]["dropped_messages"]
    room = CONTEXT_SIZE - wanted - reply.usage.prompt_tokens
    assert 0 <= room <= per_exchange + 2  # one exchange more would not have fitted
    assert reply.choices[0].message.content


def test_a_stream_tells_in_its_first_chunk(client: openai.OpenAI) -> None:
    def create(num_exchanges: int) -> list[Any]:
        stream = client.chat.completions.create(
            model="m",
            messages=conversation(num_exchanges),
            max_tokens=8,
            stream=True,
            extra_body=AUTO,
        )
        return [chunk.model_extra for chunk in stream]

    first, *others = create(40)
    assert first["truncation"]["dropped_tokens"] > 0
    assert not any(others)
    assert not any(create(1))


def test_a_call_goes_with_its_result(client: openai.OpenAI) -> None:
    messages: list[Any] = []
    for number in range(12):
        call = {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "北京"}'},
        }
        messages += [
            {"role": "user", "content": "北京天气怎么样？"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": '{"温度": 22, "天气": "晴"}'},
        ]
    reply = client.chat.completions.create(
        model="m", messages=messages, max_tokens=16, extra_body=AUTO
    )
    told: Any = reply.model_extra
    assert told["truncation"]["dropped_messages"] % 3 == 0
    assert reply.choices[0].message.content is not None


def test_a_last_message_that_is_too_long_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="m", messages=conversation(5, last="很长" * 300), extra_body=AUTO
        )
    assert caught.value.code == "context_length_exceeded"
