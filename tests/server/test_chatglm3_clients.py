"""What clients of ChatGLM3's official server send, and what they do with the replies.

The conversation is that of ``openai_api_demo.py`` among the official tool demos; the chats are
those of ``openai_api_request.py``; the last client is ``ChatGLM3`` of langchain_community.
"""

import json
from collections.abc import Sequence
from typing import Any

import httpx
import openai
import pytest

from tests.support.fakes import ASSISTANT, EOS, OBSERVATION, FakeBackend, spell

TOOLS = {
    "random_number_generator": {
        "name": "random_number_generator",
        "description": "Generates a random number x, s.t. range[0] <= x < range[1]",
        "params": [
            {"name": "seed", "description": "The random seed", "type": "int", "required": True},
            {"name": "range", "description": "范围", "type": "tuple[int, int]", "required": True},
        ],
    },
    "get_weather": {
        "name": "get_weather",
        "description": "Get the current weather for `city_name`",
        "params": [
            {"name": "city_name", "description": "城市", "type": "str", "required": True},
        ],
    },
}
RAW = "get_weather\n```python\ntool_call(city_name='北京')\n```"
CALL = [*spell("get_weather\n ```python\ntool_call(city_name='北京')\n```"), OBSERVATION]
ANSWER = [*spell("\n 北京今天晴，22 度。"), EOS]
WEATHER = "晴，22 度"


def prompt_text(prompt: Sequence[int]) -> str:
    names = {ASSISTANT: "<A>", OBSERVATION: "<O>"}
    pieces = [
        names.get(token_id, "").encode() or FakeBackend().piece(token_id) for token_id in prompt
    ]
    return b"".join(pieces).decode()


@pytest.fixture
def prompts(backend: FakeBackend) -> list[str]:
    """What the model has read; it calls a tool first and answers when it has the result."""
    seen: list[str] = []

    def reply_for(prompt: Sequence[int]) -> list[int]:
        seen.append(prompt_text(prompt))
        return ANSWER if OBSERVATION in prompt else CALL

    backend.reply_for = reply_for
    return seen


@pytest.fixture
def create(url: str) -> Any:
    return openai.OpenAI(
        base_url=f"{url}/v1", api_key="EMPTY", max_retries=0
    ).chat.completions.create


@pytest.mark.parametrize("field", ["tools", "functions"])
def test_a_conversation(create: Any, prompts: list[str], field: str) -> None:
    params: dict[str, Any] = {
        "model": "chatglm3",
        "messages": [{"role": "user", "content": "帮我查询北京的天气怎么样"}],
        "stream": False,
        field: TOOLS,
    }
    message = create(**params).choices[0].message
    assert message.function_call.name == "get_weather"
    assert json.loads(message.function_call.arguments) == {"city_name": "北京"}
    params["messages"].append(message)
    params["messages"].append({"role": "function", "name": "get_weather", "content": WEATHER})
    choice = create(**params).choices[0]
    assert (choice.message.content, choice.message.function_call) == ("北京今天晴，22 度。", None)
    assert choice.finish_reason == "stop"
    assert prompts[1].endswith(f"<A>{RAW}<O>\n{WEATHER}<A>")


@pytest.mark.parametrize("field", ["tools", "functions"])
def test_a_streamed_conversation(create: Any, prompts: list[str], field: str) -> None:
    params: dict[str, Any] = {
        "model": "chatglm3",
        "messages": [{"role": "user", "content": "帮我查询北京的天气怎么样"}],
        "stream": True,
        field: TOOLS,
    }
    outputs = []
    for _ in range(5):
        output = ""
        for chunk in create(**params):
            output += chunk.choices[0].delta.content or ""
            if chunk.choices[0].finish_reason == "function_call":
                call = chunk.choices[0].delta.function_call
                assert json.loads(call.arguments) == {"city_name": "北京"}
                params["messages"].append({"role": "assistant", "content": output})
                result = {"role": "function", "name": call.name, "content": WEATHER}
                params["messages"].append(result)
                break
        outputs.append(output)
        if chunk.choices[0].finish_reason == "stop":
            break
    assert outputs == [RAW, "北京今天晴，22 度。"]
    assert prompts[1].endswith(f"<A>{RAW}<O>\n{WEATHER}<A>")


def test_a_streaming_client_that_keeps_no_text(create: Any, prompts: list[str]) -> None:
    messages = [
        {"role": "user", "content": "天气"},
        {"role": "assistant", "content": ""},
        {"role": "function", "name": "get_weather", "content": WEATHER},
    ]
    choice = create(model="chatglm3", messages=messages, tools=TOOLS).choices[0]
    assert choice.message.content == "北京今天晴，22 度。"


def test_official_tools_are_offered_with_a_schema(create: Any, prompts: list[str]) -> None:
    create(model="chatglm3", messages=[{"role": "user", "content": "?"}], tools=TOOLS)
    definitions = json.loads(prompts[0].partition("tools:\n")[2].rpartition("]")[0] + "]")
    assert [tool["name"] for tool in definitions] == list(TOOLS)
    assert definitions[1]["parameters"] == {
        "type": "object",
        "properties": {"city_name": {"description": "城市", "type": "string"}},
        "required": ["city_name"],
    }


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ({"查天气": "x"}, "tools.查天气"),
        ({"查天气": {"params": {}}}, "tools.查天气.params"),
        ({"查天气": {"params": [{"type": "str"}]}}, "tools.查天气.params[0].name"),
        ({"查天气": {"params": [{"name": "城市", "type": 1}]}}, "tools.查天气.params[0].type"),
        ("get_weather", "tools"),
    ],
)
def test_what_is_wrong_with_official_tools_is_named(create: Any, tools: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(model="chatglm3", messages=[{"role": "user", "content": "?"}], tools=tools)
    assert caught.value.param == param


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat(create: Any, backend: FakeBackend, stream: bool) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n 从前有座山。"), EOS]
    reply = create(
        model="chatglm3-6b",
        messages=[
            {"role": "system", "content": "You are ChatGLM3, a large language model."},
            {"role": "user", "content": "你好，给我讲一个故事，大概100字"},
        ],
        stream=stream,
        max_tokens=256,
        temperature=0.8,
        presence_penalty=1.1,
        top_p=0.8,
        extra_body={"repetition_penalty": 1.1},
    )
    if stream:
        content = "".join(chunk.choices[0].delta.content or "" for chunk in reply)
    else:
        content = reply.choices[0].message.content
    assert content == "从前有座山。"


@pytest.mark.parametrize("stream", [False, True])
def test_openai_tools(create: Any, prompts: list[str], stream: bool) -> None:
    function = {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}
    reply = create(
        model="chatglm3-6b",
        messages=[{"role": "user", "content": "波士顿天气如何？"}],
        tools=[{"type": "function", "function": function}],
        tool_choice="auto",
        stream=stream,
    )
    if stream:
        chunks = list(reply)
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
        name = calls[0].function.name
    else:
        name = reply.choices[0].message.tool_calls[0].function.name
    assert name == "get_weather"


def langchain_payload(prompt: str, *, max_tokens: int) -> dict[str, Any]:
    """The body that ``langchain_community.llms.chatglm3.ChatGLM3`` posts."""
    return {
        "model": "chatglm3-6b",
        "temperature": 0.1,
        "max_tokens": max_tokens,
        "top_p": 0.9,
        "stream": False,
        "messages": [
            {"role": "system", "content": "You are an intelligent AI assistant, named ChatGLM3."},
            {"role": "user", "content": "我将从美国到中国来旅游"},
            {"role": "assistant", "content": "欢迎问我任何问题。"},
            {"role": "user", "content": prompt},
        ],
    }


def post_as_langchain(url: str, payload: dict[str, Any]) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    return httpx.post(f"{url}/v1/chat/completions", headers=headers, json=payload, timeout=60)


def test_langchain(url: str, backend: FakeBackend) -> None:
    backend.reply_for = lambda _prompt: ANSWER
    reply = post_as_langchain(
        url, langchain_payload("北京和上海两座城市有什么不同？", max_tokens=2000)
    )
    assert reply.status_code == 200
    assert reply.json()["choices"][0]["message"]["content"] == "北京今天晴，22 度。"


@pytest.mark.parametrize("clamp_max_tokens", [False, True])
def test_langchains_own_max_tokens_are_more_than_the_context_has(
    url: str, backend: FakeBackend, clamp_max_tokens: bool
) -> None:
    payload = langchain_payload("你好", max_tokens=20_000)
    backend.reply_for = lambda _prompt: ANSWER
    reply = post_as_langchain(url, payload)
    assert reply.status_code == (200 if clamp_max_tokens else 400)
    assert clamp_max_tokens or "--clamp-max-tokens" in reply.json()["error"]["message"]
