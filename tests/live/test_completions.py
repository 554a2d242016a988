"""OpenAI's client asks for text completions of a real server with the built-in model."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.servers import Server, start_server, stop_server
from tests.support.waiting import SECONDS

pytestmark = [pytest.mark.live, pytest.mark.engines]

POEM = "床前明月光，"
GREEDY: dict[str, Any] = {"temperature": 0, "extra_body": {"repetition_penalty": 1.0}}


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)


def test_a_completion(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="chatglm3-6b", prompt=POEM, max_tokens=12)
    (choice,) = reply.choices
    assert choice.text
    assert choice.finish_reason in ("length", "stop")
    assert reply.usage is not None
    assert 0 < reply.usage.completion_tokens <= 12
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_sixteen_tokens_come_unless_told_otherwise(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="m", prompt=[POEM, "1, 2, 3,"], n=8, temperature=2)
    assert reply.usage is not None
    numbers = [choice.index for choice in reply.choices if choice.finish_reason == "length"]
    assert numbers
    assert 16 * len(numbers) <= reply.usage.completion_tokens <= 16 * 16


def test_a_stream_is_the_plain_reply_in_pieces(client: openai.OpenAI) -> None:
    prompts = [POEM * 10, "你好"]  # vLLM's cache has blocks of 32 tokens
    fields: dict[str, Any] = {"model": "m", "prompt": prompts, "max_tokens": 24, **GREEDY}
    plain = client.completions.create(**fields, echo=True)
    texts, reasons = ["", ""], [None, None]
    *chunks, last = client.completions.create(
        **fields, echo=True, stream=True, stream_options={"include_usage": True}
    )
    for chunk in chunks:
        (choice,) = chunk.choices
        texts[choice.index] += choice.text
        reasons[choice.index] = choice.finish_reason
    assert texts == [choice.text for choice in plain.choices]
    assert reasons == [choice.finish_reason for choice in plain.choices]
    assert texts[0].startswith(POEM)
    assert last.choices == []
    assert last.usage is not None
    assert plain.usage is not None
    assert last.usage.total_tokens == plain.usage.total_tokens
    details = last.usage.prompt_tokens_details
    assert details is not None
    assert details.cached_tokens


def test_a_stop_string(client: openai.OpenAI) -> None:
    fields: dict[str, Any] = {"model": "m", "prompt": "你好", "max_tokens": 32, **GREEDY}
    whole = client.completions.create(**fields).choices[0].text
    stop = whole[3:5]
    choice = client.completions.create(**fields, stop=stop, logprobs=0).choices[0]
    assert choice.text == whole[: whole.index(stop)]
    assert choice.finish_reason == "stop"
    assert choice.logprobs is not None
    assert "".join(choice.logprobs.tokens or []).startswith(choice.text)


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs(client: openai.OpenAI, stream: bool) -> None:
    fields: dict[str, Any] = {"model": "m", "prompt": POEM, "max_tokens": 10, "logprobs": 3}
    reply: Any = client.completions.create(**fields, **GREEDY, stream=stream)
    parts = [choice for item in (reply if stream else [reply]) for choice in item.choices]
    text = "".join(part.text for part in parts)
    found = [part.logprobs for part in parts if part.logprobs is not None]
    tokens = [token for part in found for token in part.tokens]
    logprobs = [logprob for part in found for logprob in part.token_logprobs]
    tops = [top for part in found for top in part.top_logprobs]
    offsets = [offset for part in found for offset in part.text_offset]
    assert 0 < len(tokens) == len(logprobs) == len(tops) == len(offsets) <= 10
    assert all(logprob <= 0 for logprob in logprobs)
    assert all(3 <= len(top) <= 4 for top in tops)
    assert all(max(top, key=lambda name: top[name]) in tokens for top in tops)  # it is greedy
    for token, offset in zip(tokens, offsets, strict=True):
        assert token.startswith("bytes:") or text[offset:].startswith(token)


def test_choices_have_seeds_of_their_own(client: openai.OpenAI) -> None:
    def texts(seed: int) -> list[str]:
        reply = client.completions.create(
            model="m", prompt=POEM, n=3, max_tokens=12, temperature=2, top_p=1, seed=seed
        )
        assert [choice.index for choice in reply.choices] == [0, 1, 2]
        return [choice.text for choice in reply.choices]

    assert len(set(texts(1))) > 1


def test_a_grammar_and_token_ids(client: openai.OpenAI) -> None:
    """As vLLM has them: what ``--engine`` asks another server for."""
    extra = {
        "return_token_ids": True,
        "structured_outputs": {"grammar": 'start: "十五的月亮" | "疑是"'},
    }
    reply = client.completions.create(model="m", prompt=POEM, max_tokens=16, extra_body=extra)
    (choice,) = reply.choices
    assert choice.text in {"十五的月亮", "疑是"}
    assert choice.finish_reason == "stop"
    assert reply.usage is not None
    assert choice.model_extra is not None
    assert len(choice.model_extra["token_ids"]) == reply.usage.completion_tokens


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "。"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True, "logprobs": 1}, "logprobs"),
        ({"prompt": [10_000_000]}, "prompt"),
        ({"max_tokens": 1023}, "prompt"),
        ({"max_tokens": 1024, "prompt": "长" * 3000}, "prompt"),
    ],
)
def test_what_cannot_be_is_refused(
    client: openai.OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(**{"model": "m", "prompt": POEM, **fields})
    assert caught.value.param == param


def test_the_async_client(server: Server) -> None:
    async def streamed() -> str:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="none") as client:
            stream = await client.completions.create(
                model="m", prompt=POEM, max_tokens=8, stream=True, logit_bias={"2": -100}
            )
            return "".join([chunk.choices[0].text async for chunk in stream])

    assert asyncio.run(streamed())


def test_half_of_a_surrogate_pair(server: Server) -> None:
    content = b'{"prompt": "\\ud83d", "echo": true, "max_tokens": 2}'
    headers = {"Content-Type": "application/json"}
    reply = httpx.post(
        f"{server.base_url}/completions", content=content, headers=headers, timeout=SECONDS
    )
    assert reply.status_code == 200
    assert reply.json()["choices"][0]["text"].startswith("?")


def test_as_many_tokens_as_fit(tiny_gguf: Path) -> None:
    """Asked of random weights, which never stop: the engine did not either."""
    server = start_server(str(tiny_gguf), "--ctx-size", "256", "--clamp-max-tokens")
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        reply = client.completions.create(
            model="m", prompt="你好", max_tokens=5000, temperature=0, timeout=60
        )
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.total_tokens == 256
    assert stop_server(server) == 0
