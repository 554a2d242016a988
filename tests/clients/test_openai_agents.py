"""OpenAI's Agents SDK, over both of the APIs that it speaks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

from tests.clients.trips import Trip
from tests.support.servers import Server

set_tracing_disabled(True)  # it would be sent to OpenAI

T = TypeVar("T")
Use = Callable[[Callable[[Any], Awaitable[T]]], T]


@function_tool
def get_weather(city: str) -> str:
    """查询城市的天气"""
    return f'{{"city": "{city}", "temperature": 22}}'


@pytest.fixture(params=[OpenAIChatCompletionsModel, OpenAIResponsesModel])
def use(request: pytest.FixtureRequest, server: Server) -> Use[Any]:
    """Run a coroutine with options of an agent, among them the model."""

    async def run(function: Callable[[Any], Awaitable[Any]]) -> Any:
        async with AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
            model = request.param("chatglm3-6b", client)
            return await function({"model": model, "model_settings": ModelSettings(temperature=0)})

    return lambda function: asyncio.run(run(function))


def test_a_chat_and_its_stream(use: Use[list[str]]) -> None:
    async def run(options: Any) -> list[str]:
        agent = Agent("host", **options)
        plain = await Runner.run(agent, "你好")
        streamed = Runner.run_streamed(agent, "你好")
        deltas = [
            event.data.delta
            async for event in streamed.stream_events()
            if event.type == "raw_response_event"
            and event.data.type == "response.output_text.delta"
        ]
        return [plain.final_output, streamed.final_output, "".join(deltas)]

    plain, *others = use(run)
    assert "glm3edge" in plain
    assert others == [plain, plain]


def test_a_tool_loop_that_goes_on(use: Use[list[Any]]) -> None:
    async def run(options: Any) -> list[Any]:
        agent = Agent("host", tools=[get_weather], **options)
        first = await Runner.run(agent, "北京的天气怎么样？")
        history = [*first.to_input_list(), {"role": "user", "content": "谢谢"}]
        return [first, await Runner.run(agent, history)]

    first, second = use(run)
    assert [item.type for item in first.new_items] == [
        "tool_call_item",
        "tool_call_output_item",
        "message_output_item",
    ]
    assert '"北京"' in first.new_items[1].output
    assert "22" in first.final_output
    assert second.final_output


def test_a_streamed_tool_loop(use: Use[str]) -> None:
    async def run(options: Any) -> str:
        agent = Agent("host", tools=[get_weather], **options)
        result = Runner.run_streamed(agent, "北京的天气怎么样？")
        assert [event async for event in result.stream_events()]
        return str(result.final_output)

    assert "22" in use(run)


def test_a_handoff(use: Use[Any]) -> None:
    """A call of a tool without parameters, whose object is closed."""

    async def run(options: Any) -> Any:
        other = Agent("天气", **options)
        settings = ModelSettings(temperature=0, tool_choice="required")
        first = Agent("host", handoffs=[other], model=options["model"], model_settings=settings)
        return await Runner.run(first, "你好")

    result = use(run)
    assert result.last_agent.name == "天气"
    assert result.final_output


def test_a_structured_reply(use: Use[Any]) -> None:
    async def run(options: Any) -> Any:
        agent = Agent("host", output_type=Trip, **options)
        return (await Runner.run(agent, "去北京玩几天？")).final_output

    assert isinstance(use(run), Trip)
