"""Pydantic AI, over both of the APIs of OpenAI that it speaks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.trips import Booking, Trip
from tests.support.servers import Server

T = TypeVar("T")
Use = Callable[[Callable[[Any], Awaitable[T]]], T]


def get_weather(city: str) -> dict[str, Any]:
    """查询城市的天气"""
    return {"city": city, "temperature": 22}


@pytest.fixture(params=[OpenAIChatModel, OpenAIResponsesModel])
def use(request: pytest.FixtureRequest, server: Server) -> Use[Any]:
    """Run a coroutine with a model."""

    async def run(function: Callable[[Any], Awaitable[Any]]) -> Any:
        async with AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
            provider = OpenAIProvider(openai_client=client)
            return await function(
                request.param("chatglm3-6b", provider=provider, settings={"temperature": 0})
            )

    return lambda function: asyncio.run(run(function))


def test_a_chat_and_its_stream(use: Use[tuple[str, str]]) -> None:
    async def run(model: Any) -> tuple[str, str]:
        agent = Agent(model)
        plain = await agent.run("你好")
        async with agent.run_stream("你好") as result:
            pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        return plain.output, "".join(pieces)

    plain, streamed = use(run)
    assert "glm3edge" in plain
    assert streamed == plain


def test_a_tool_loop_that_goes_on(use: Use[list[Any]]) -> None:
    async def run(model: Any) -> list[Any]:
        agent = Agent(model, tools=[get_weather])
        first = await agent.run("北京的天气怎么样？")
        return [first, await agent.run("谢谢", message_history=first.all_messages())]

    first, second = use(run)
    parts = [part for message in first.all_messages() for part in message.parts]
    (result,) = [part for part in parts if isinstance(part, ToolReturnPart)]
    assert result.content["city"] == "北京"
    assert "22" in first.output
    assert second.output


def test_a_streamed_tool_loop(use: Use[str]) -> None:
    async def run(model: Any) -> str:
        async with Agent(model, tools=[get_weather]).run_stream("北京的天气怎么样？") as result:
            return str(await result.get_output())

    assert "22" in use(run)


@pytest.mark.parametrize("shape", [Trip, Booking])
@pytest.mark.parametrize("form", [ToolOutput, NativeOutput])
def test_a_structured_reply(use: Use[list[Any]], form: Any, shape: type) -> None:
    """By a tool that must be called, and by a response format."""

    async def run(model: Any) -> list[Any]:
        agent = Agent(model, output_type=form(shape))
        plain = await agent.run("去北京玩几天？")
        async with agent.run_stream("去北京玩几天？") as result:
            return [plain.output, await result.get_output()]

    assert [type(output) for output in use(run)] == [shape, shape]
