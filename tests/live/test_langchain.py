"""LangChain's client for OpenAI, on a real server with the built-in model."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
import tiktoken
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.support.servers import Server

pytestmark = pytest.mark.live


class Place(BaseModel):
    """A place to see."""

    kind: Literal["山", "湖"]
    is_far: bool


@tool
def get_weather(city: str) -> str:
    """查询城市的天气"""
    return json.dumps({"city": city, "temperature": 22}, ensure_ascii=False)


@pytest.fixture(scope="module")
def model(server: Server) -> Iterator[ChatOpenAI]:
    """LangChain shares connections between its models, so there is one for all tests."""
    model = ChatOpenAI(
        base_url=server.base_url, api_key=SecretStr("none"), model="any", temperature=0, timeout=60
    )
    yield model
    model.root_client.close()


def test_a_chat(model: ChatOpenAI) -> None:
    reply = model.invoke([SystemMessage("请简短回答。"), HumanMessage("你好")])
    assert "glm3edge" in str(reply.content)
    assert isinstance(reply, AIMessage)
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["output_tokens"] > 0


def test_a_stream(model: ChatOpenAI) -> None:
    chunks = [str(chunk.content) for chunk in model.stream("你好")]
    assert len(chunks) > 3
    assert "".join(chunks) == model.invoke("你好").content


async def _replies(model: ChatOpenAI) -> list[Any]:
    try:
        return await model.abatch(["你好", "Hello"])
    finally:
        await model.root_async_client.close()


def test_async(model: ChatOpenAI) -> None:
    replies = asyncio.run(_replies(model))
    assert all(reply.content for reply in replies)


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(model: ChatOpenAI, method: Literal["json_schema"]) -> None:
    place = model.with_structured_output(Place, method=method).invoke("西湖远吗？")
    assert isinstance(place, Place)


def test_a_whole_turn_of_an_agent(model: ChatOpenAI) -> None:
    """The model calls, the tool is run, the model says what came of it."""
    agent = model.bind_tools([get_weather], tool_choice="get_weather")
    messages: list[Any] = [HumanMessage("北京的天气怎么样？")]
    call = agent.invoke(messages)
    assert isinstance(call, AIMessage)
    (asked,) = call.tool_calls
    assert asked["name"] == "get_weather"
    assert set(asked["args"]) == {"city"}
    result = get_weather.invoke(asked)
    assert isinstance(result, ToolMessage)
    answer = model.bind_tools([get_weather]).invoke([*messages, call, result])
    assert "22" in str(answer.content)


def test_a_streamed_call(model: ChatOpenAI) -> None:
    agent = model.bind_tools([get_weather], tool_choice="required")
    chunks = list(agent.stream("上海的天气怎么样？"))
    whole: Any = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert [call["name"] for call in whole.tool_calls] == ["get_weather"]


def test_embeddings(server: Server) -> None:
    embeddings = OpenAIEmbeddings(
        base_url=server.base_url,
        api_key=SecretStr("none"),
        model="bge-large-zh-1.5",
        check_embedding_ctx_length=False,
    )
    vectors = embeddings.embed_documents(["你好", "世界"])
    assert len(vectors) == 2
    assert len(vectors[0]) == len(embeddings.embed_query("你好")) > 100
    embeddings.client._client.close()


def test_embeddings_as_they_are_by_default(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends ids of OpenAI's tokenizer, which is on the internet; this one is like it."""
    ranks = {bytes([byte]): 100_000 + byte for byte in range(256)}
    encoding = tiktoken.Encoding("cl", pat_str=".+", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(tiktoken, "get_encoding", lambda _name: encoding)
    embeddings = OpenAIEmbeddings(
        base_url=server.base_url, api_key=SecretStr("none"), model="bge-large-zh-1.5"
    )
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        embeddings.embed_documents(["你好"])
    embeddings.client._client.close()
