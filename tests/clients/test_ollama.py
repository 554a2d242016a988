"""Ollama's own client, and LangChain's for it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import ollama
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings

from tests.clients.trips import Trip
from tests.support.servers import Server

_MODEL = "glm3-tiny"
_GREEDY = {"temperature": 0}
_HELLO = [{"role": "user", "content": "你好"}]
_TRIP = [{"role": "user", "content": "去北京玩几天？"}]
_WEATHER = [{"role": "user", "content": "北京的天气怎么样？"}]


def get_weather(city: str) -> str:
    """查询城市的天气

    Args:
        city: 城市名称
    """
    return json.dumps({"city": city, "temperature": 22}, ensure_ascii=False)


@pytest.fixture
def client(server: Server) -> ollama.Client:
    return ollama.Client(host=server.url)


@pytest.fixture
def chat(client: ollama.Client) -> Callable[..., Any]:
    """Chat with the built-in model, always with the same reply."""

    def ask(messages: Any, **fields: Any) -> Any:
        return client.chat(_MODEL, messages, options=_GREEDY, **fields)

    return ask


def test_a_chat_and_its_stream(chat: Callable[..., Any]) -> None:
    reply = chat(_HELLO)
    assert "glm3edge" in reply.message.content
    assert (reply.done, reply.done_reason, reply.model) == (True, "stop", f"{_MODEL}:latest")
    assert min(reply.total_duration, reply.prompt_eval_duration, reply.eval_duration) > 0
    *parts, last = chat(_HELLO, stream=True)
    assert "".join(part.message.content for part in parts) == reply.message.content
    assert (last.done, last.eval_count) == (True, reply.eval_count)


def test_an_asynchronous_stream(server: Server) -> None:
    async def collect() -> str:
        client = ollama.AsyncClient(host=server.url)
        stream = await client.chat(_MODEL, _HELLO, options=_GREEDY, stream=True)
        return "".join([part.message.content async for part in stream])

    assert "glm3edge" in asyncio.run(collect())


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop(chat: Callable[..., Any], stream: bool) -> None:
    """The client makes the tool of a function, and sends no ids with its result."""
    asked = chat(_WEATHER, tools=[get_weather], stream=stream)
    messages = [part.message for part in asked] if stream else [asked.message]
    (call,) = [call for message in messages for call in message.tool_calls or ()]
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "北京"})
    result = {"role": "tool", "tool_name": "get_weather", "content": get_weather("北京")}
    history = [*_WEATHER, {"role": "assistant", "tool_calls": [call]}, result]
    answer = chat(history, tools=[get_weather])
    assert "22" in answer.message.content


@pytest.mark.parametrize("stream", [False, True])
def test_a_structured_reply(chat: Callable[..., Any], stream: bool) -> None:
    made = chat(_TRIP, format=Trip.model_json_schema(), stream=stream)
    parts = list(made) if stream else [made]
    Trip.model_validate_json("".join(part.message.content for part in parts))
    parts = list(chat(_TRIP, format="json", stream=True))
    assert parts[0].message.content.startswith("{")


def test_a_prompt(client: ollama.Client) -> None:
    def ask(prompt: str, **fields: Any) -> Any:
        return client.generate(_MODEL, prompt, options=_GREEDY, **fields)

    reply = ask("你好")
    assert "glm3edge" in reply.response
    assert "".join(part.response for part in ask("你好", stream=True)) == reply.response
    later = ask("再见", context=reply.context)
    assert list(later.context[: len(reply.context)]) == list(reply.context)
    assert later.prompt_eval_count > reply.prompt_eval_count
    raw = client.generate(_MODEL, "从前有座山，", raw=True, options={"num_predict": 5})
    assert (raw.eval_count, raw.done_reason, raw.context) == (5, "length", None)


def test_loading(client: ollama.Client) -> None:
    assert client.generate(_MODEL, keep_alive=-1).done_reason == "load"
    assert client.chat(_MODEL, keep_alive=0).done_reason == "unload"
    assert client.chat(_MODEL, _HELLO).message.content


def test_vectors(client: ollama.Client) -> None:
    one, two = client.embed(_MODEL, ["你好", "世界"]).embeddings
    assert len(one) == len(two) > 0
    assert client.embeddings(_MODEL, "你好").embedding == pytest.approx(one, abs=1e-3)


def test_the_models(client: ollama.Client) -> None:
    (listed,) = client.list().models
    (running,) = client.ps().models
    assert listed.model == running.model == f"{_MODEL}:latest"
    assert listed.digest == running.digest
    shown = client.show(listed.model)
    assert shown.modelinfo[f"{shown.details.family}.context_length"] == running.context_length
    assert shown.capabilities == ["completion", "tools"]


@pytest.mark.parametrize(
    ("ask", "status", "message"),
    [
        (lambda client: client.pull("llama3"), 501, "glm3edge serve"),
        (lambda client: next(client.pull("llama3", stream=True)), 501, "glm3edge serve"),
        (lambda client: client.delete(_MODEL), 501, "glm3edge serve"),
        (lambda client: client.show("llama3"), 404, "model 'llama3' not found"),
        (lambda client: client.chat(_MODEL, _HELLO, think=True), 400, "not support thinking"),
        (
            lambda client: next(client.chat(_MODEL, _HELLO, think="high", stream=True)),
            400,
            "not support thinking",
        ),
        (
            lambda client: client.chat(_MODEL, [{**_HELLO[0], "images": [b"x"]}]),
            400,
            "describe the image",
        ),
    ],
)
def test_errors(client: ollama.Client, ask: Any, status: int, message: str) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        ask(client)
    assert caught.value.status_code == status
    assert message in caught.value.error


@pytest.fixture
def langchain(server: Server) -> ChatOllama:
    return ChatOllama(model=_MODEL, base_url=server.url, temperature=0, validate_model_on_init=True)


def test_langchain(langchain: ChatOllama, server: Server) -> None:
    reply = langchain.invoke("你好")
    assert "glm3edge" in reply.text
    assert reply.usage_metadata["output_tokens"] > 0
    assert "".join(chunk.text for chunk in langchain.stream("你好")) == reply.text
    vector = OllamaEmbeddings(model=_MODEL, base_url=server.url).embed_query("你好")
    assert sum(number * number for number in vector) == pytest.approx(1, abs=1e-3)


def test_langchains_tool_loop(langchain: ChatOllama) -> None:
    weather = tool(get_weather)
    model = langchain.bind_tools([weather])
    question = HumanMessage("北京的天气怎么样？")
    asked = model.invoke([question])
    assert isinstance(asked, AIMessage)
    (call,) = asked.tool_calls
    assert call["args"] == {"city": "北京"}
    assert "22" in model.invoke([question, asked, weather.invoke(call)]).text


def test_langchains_structured_reply(langchain: ChatOllama) -> None:
    """By a format: of a tool's schema the client leaves out all but types and enumerations."""
    model = langchain.with_structured_output(Trip, method="json_schema")
    assert isinstance(model.invoke("去北京玩几天？"), Trip)
