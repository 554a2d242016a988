"""What the built-in model must do for a newcomer, asked through the server with OpenAI's client."""

import json
from typing import Any

import openai
import pytest

from tests.support.servers import Server

pytestmark = pytest.mark.live

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "查询城市的天气",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "城市名称"}},
            "required": ["city"],
        },
    },
}
STOCK = {
    "type": "function",
    "function": {
        "name": "track_shares",
        "description": "Get the price of a stock",
        "parameters": {
            "type": "object",
            "properties": {"symbol": {"type": "string", "description": "stock symbol"}},
            "required": ["symbol"],
        },
    },
}


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)


def ask(client: openai.OpenAI, messages: list[dict[str, Any]], **options: Any) -> Any:
    """The first choice, greedy unless ``options`` say otherwise."""
    settings = {"temperature": 0, "extra_body": {"repetition_penalty": 1.0}, **options}
    create: Any = client.chat.completions.create
    return create(model="glm3-tiny", messages=messages, **settings).choices[0]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("你好", "你好！我是 glm3edge 的演示模型。"),
        ("Hello", "Hello! I am the demo model of glm3edge."),
        ("怎么改端口？", "默认是 8000，用 `--port` 修改，例如 `glm3edge serve --port 8010`。"),
        ("Who are you?", "I am glm3-tiny, the built-in demo model of glm3edge."),
    ],
)
def test_it_answers_in_the_language_it_is_asked_in(
    client: openai.OpenAI, question: str, expected: str
) -> None:
    choice = ask(client, [{"role": "user", "content": question}])
    assert choice.message.content == expected
    assert choice.finish_reason == "stop"


def test_it_keeps_what_it_was_told(client: openai.OpenAI) -> None:
    messages = [
        {"role": "user", "content": "我叫王小明"},
        {"role": "assistant", "content": "你好，王小明。"},
        {"role": "user", "content": "我叫什么名字？"},
    ]
    assert "王小明" in ask(client, messages).message.content


@pytest.mark.parametrize("tools", [[WEATHER], [WEATHER, STOCK], [STOCK, WEATHER]])
def test_it_calls_the_right_tool_and_quotes_the_result(
    client: openai.OpenAI, tools: list[dict[str, Any]]
) -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "北京天气怎么样"}]
    choice = ask(client, messages, tools=tools)
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.function.name == "get_current_weather"
    assert json.loads(call.function.arguments) == {"city": "北京"}
    messages += [
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 23, "天气": "晴"}'},
    ]
    answer = ask(client, messages, tools=tools)
    assert "23" in answer.message.content
    assert "晴" in answer.message.content
    assert answer.finish_reason == "stop"


def test_a_greeting_needs_no_tool(client: openai.OpenAI) -> None:
    choice = ask(client, [{"role": "user", "content": "你好"}], tools=[WEATHER, STOCK])
    assert choice.message.tool_calls is None
    assert "glm3edge" in choice.message.content


def test_it_writes_code_for_the_interpreter(client: openai.OpenAI) -> None:
    interpreter = {"type": "function", "function": {"name": "interpreter"}}
    choice = ask(client, [{"role": "user", "content": "计算 3+4"}], tools=[interpreter])
    (call,) = choice.message.tool_calls
    assert json.loads(call.function.arguments) == {"code": "print(3+4)"}


def test_default_sampling_gives_sense_too(client: openai.OpenAI) -> None:
    reply: Any = client.chat.completions.create(
        model="glm3-tiny", messages=[{"role": "user", "content": "你好"}], seed=1
    )
    assert "glm3edge" in reply.choices[0].message.content
