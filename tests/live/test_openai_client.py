"""The official OpenAI client against a real server with the built-in model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest

from tests.support.servers import Server, start_server, stop_server
from tests.support.waiting import SECONDS

pytestmark = [pytest.mark.live, pytest.mark.engines]


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


def test_models(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert client.models.retrieve(model.id) == model
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


def test_chat(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="chatglm3-6b",
        messages=[
            {"role": "system", "content": "简短回答"},
            {"role": "user", "content": "你好，你是谁？"},
        ],
        max_tokens=16,
    )
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].message.content
    assert reply.choices[0].finish_reason in ("length", "stop")
    assert reply.usage is not None
    assert reply.usage.completion_tokens <= 16 + 1  # white space before the first word counts
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_stream_is_the_plain_reply_in_pieces(client: openai.OpenAI) -> None:
    def create(stream: bool) -> str:
        options = {"temperature": 0, "max_tokens": 48, "stream": stream}
        reply = client.chat.completions.create(
            model="chatglm3-6b",
            messages=[{"role": "user", "content": "讲个故事"}],
            **options,  # type: ignore[call-overload]
        )
        if not stream:
            return str(reply.choices[0].message.content)
        return "".join(chunk.choices[0].delta.content or "" for chunk in reply)

    assert create(stream=True) == create(stream=False) != ""


@pytest.mark.local_engine
def test_stream_progress(client: openai.OpenAI) -> None:
    """OpenAI's client takes chunks that tell how far the prompt has been read."""
    text = "".join(f"{number}. 从前有一座山，山里有一座庙。" for number in range(40))
    chunks = list(
        client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": text}],
            max_tokens=4,
            stream=True,
            extra_body={"stream_options": {"include_progress": True, "include_usage": True}},
        )
    )
    found = [chunk.model_extra for chunk in chunks if not chunk.choices and not chunk.usage]
    progress = [extra["prompt_progress"] for extra in found if extra is not None]
    assert len(progress) > 2
    assert [entry["processed"] for entry in progress] == sorted(
        {entry["processed"] for entry in progress}
    )
    usage = chunks[-1].usage
    assert usage is not None
    assert {entry["total"] for entry in progress} == {usage.prompt_tokens}


def test_stream_usage(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="chatglm3-6b",
            messages=[{"role": "user", "content": "hi"}],
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens <= 8 + 1
    assert chunks[-2].choices[0].finish_reason is not None


def test_a_seed_repeats_a_reply(tmp_path: Path) -> None:
    """Always with ``--deterministic``; else it depends on how much of the prompt is in memory."""
    server = start_server("--deterministic", GLM3EDGE_CACHE_DIR=str(tmp_path))
    client = openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)

    def create(seed: int) -> str | None:
        reply = client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "你好"}],
            max_tokens=24,
            seed=seed,
            temperature=2,
            top_p=1,
        )
        return reply.choices[0].message.content

    said = [create(seed) for seed in range(5)]
    assert [create(seed) for seed in range(5)] == said
    assert len(set(said)) > 1
    client.close()
    assert stop_server(server) == 0


@pytest.mark.parametrize("stream", [False, True])
def test_the_token_limit(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "你好"}],
            max_tokens=1023,
            stream=stream,
        )
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.type == "invalid_request_error"
    assert "1024" in caught.value.message
    assert "1023" in caught.value.message


def test_a_prompt_that_is_too_long(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "很长" * 2000}]
        )
    assert caught.value.code == "context_length_exceeded"


def test_without_max_tokens_the_context_is_the_limit(tiny_gguf: Path) -> None:
    """Asked of random weights, which never stop."""
    server = start_server(str(tiny_gguf))
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        reply = client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "x"}],
            temperature=0,
            extra_body={"repetition_penalty": 1},
        )
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.total_tokens == 1024
    assert stop_server(server) == 0


@pytest.mark.local_engine
def test_embeddings(client: openai.OpenAI) -> None:
    """The client asks for base64 unless told otherwise."""
    texts = ["你好，世界", "hello", "你好，世界"]
    reply = client.embeddings.create(model="bge-large-zh-1.5", input=texts)
    first, second, third = (np.array(item.embedding) for item in reply.data)
    np.testing.assert_allclose(first, third, atol=1e-6)
    assert abs(float(first @ second)) < 0.999
    assert float(np.linalg.norm(first)) == pytest.approx(1, abs=1e-5)
    floats = client.embeddings.create(model="m", input=texts[0], encoding_format="float")
    np.testing.assert_allclose(floats.data[0].embedding, first, atol=1e-6)


@pytest.mark.local_engine
def test_a_long_text_embeds_in_several_batches(client: openai.OpenAI) -> None:
    (item,) = client.embeddings.create(model="m", input="量化模型 " * 100).data
    assert float(np.linalg.norm(item.embedding)) == pytest.approx(1, abs=1e-5)


@pytest.mark.local_engine
def test_a_text_that_is_too_long_to_embed(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="m", input="长" * 5000)
    assert caught.value.code == "context_length_exceeded"


def test_tools_and_their_results_are_accepted(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="m",
        messages=[
            {"role": "user", "content": "天气?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city": "北京"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": '{"t": 22}'},
        ],
        tools=[{"type": "function", "function": {"name": "weather", "parameters": {}}}],
        max_tokens=8,
    )
    assert reply.choices[0].message.content


async def _async_chat(base_url: str) -> str:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as client:
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], max_tokens=8, stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


def test_the_async_client(server: Server) -> None:
    import asyncio

    assert asyncio.run(_async_chat(server.base_url))


def test_leaving_a_stream_frees_the_server(tiny_gguf: Path) -> None:
    """The reply left behind would take minutes; the next one comes at once."""
    server = start_server(str(tiny_gguf), "--ctx-size", "65536")
    client = openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0, timeout=SECONDS)
    endless = {"temperature": 0, "extra_body": {"repetition_penalty": 1}}
    for _ in range(3):
        stream = client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "x"}],
            stream=True,
            **endless,  # type: ignore[call-overload]
        )
        next(iter(stream))
        stream.close()
    reply = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "y"}], max_tokens=4
    )
    client.close()
    assert reply.choices
    assert stop_server(server) == 0


def test_a_checkpoint_folder_is_served(tiny_checkpoint: Path, tmp_path: Path) -> None:
    server = start_server(str(tiny_checkpoint), "--type", "q8_0", GLM3EDGE_CACHE_DIR=str(tmp_path))
    client = openai.OpenAI(base_url=server.base_url, api_key="none")
    assert [model.id for model in client.models.list().data] == ["tiny"]
    client.close()
    assert stop_server(server) == 0
    suffixes = sorted(path.suffix for path in (tmp_path / "converted").iterdir())
    assert suffixes == [".gguf", ".json"]  # the model, and what it was made of
