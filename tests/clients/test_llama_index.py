"""LlamaIndex's client for servers like OpenAI's, which marks every tool ``"strict": false``."""

import asyncio
import json

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from tests.clients.trips import Trip
from tests.support.servers import Server

_HELLO = [ChatMessage(role="user", content="你好")]
_TRIP = [ChatMessage(role="user", content="去北京玩几天？")]


def get_weather(city: str) -> str:
    """查询城市的天气"""
    return json.dumps({"city": city, "temperature": 22}, ensure_ascii=False)


def make_model(server: Server, *, structured: bool = False) -> OpenAILike:
    return OpenAILike(
        model="chatglm3-6b",
        api_base=server.base_url,
        api_key="none",
        is_chat_model=True,
        is_function_calling_model=True,
        should_use_structured_outputs=structured,
        temperature=0,
        max_retries=0,
    )


@pytest.fixture
def model(server: Server) -> OpenAILike:
    return make_model(server)


def test_a_chat_and_its_stream(model: OpenAILike) -> None:
    text = model.chat(_HELLO).message.content
    assert "glm3edge" in str(text)
    assert "".join(chunk.delta or "" for chunk in model.stream_chat(_HELLO)) == text


@pytest.mark.parametrize("streaming", [False, True])
def test_a_tool_loop(model: OpenAILike, streaming: bool) -> None:
    tool = FunctionTool.from_defaults(get_weather)

    async def run() -> tuple[str, list[str]]:
        agent = FunctionAgent(tools=[tool], llm=model, streaming=streaming)
        result = await agent.run("北京的天气怎么样？")
        outputs = [str(call.tool_output.content) for call in result.tool_calls]
        return str(result), outputs

    answer, outputs = asyncio.run(run())
    assert [json.loads(output)["city"] for output in outputs] == ["北京"]
    assert "22" in answer


@pytest.mark.parametrize("structured", [False, True])
def test_a_structured_reply(server: Server, structured: bool) -> None:
    """By a tool that must be called, and by a response format."""
    model = make_model(server, structured=structured).as_structured_llm(Trip)
    assert isinstance(model.chat(_TRIP).raw, Trip)


def test_a_streamed_structured_reply(server: Server) -> None:
    """By a response format: in a stream the client does not ask that its tool be called."""
    model = make_model(server, structured=True).as_structured_llm(Trip)
    *_, last = model.stream_chat(_TRIP)
    assert Trip.model_validate(last.raw.model_dump())
