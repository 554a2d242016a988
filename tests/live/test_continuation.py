"""Replies that go on with the assistant's last message, on the built-in model."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import openai
import pytest

from tests.support.servers import Server

pytestmark = pytest.mark.live

GREEDY: dict[str, Any] = {"temperature": 0, "seed": 1, "model": "m"}  # a seed: without drafts
CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}  # vLLM's fields
CHOICE = {"type": "function", "function": {"name": "get_weather"}}
BOTH = {**CONTINUE, "add_generation_prompt": True}
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"城市": {"enum": ["北京", "上海"]}, "天数": {"type": "integer", "maximum": 9}},
    "required": ["城市", "天数"],
    "additionalProperties": False,
}
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, question: str, begun: str | None = None, **fields: Any) -> Any:
    messages: list[Any] = [{"role": "user", "content": question}]
    if begun is not None:
        messages.append({"role": "assistant", "content": begun})
    options = {"max_tokens": 64, **GREEDY, **fields}
    if not fields.get("stream"):
        return client.chat.completions.create(messages=messages, **options).choices[0]
    chunks = client.chat.completions.create(messages=messages, **options)
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


@pytest.mark.parametrize("tools", [{}, {"tools": [TOOL]}])
@pytest.mark.parametrize("question", ["你好，你是谁？", "Who are you?", "讲个故事", "怎么改端口？"])
def test_a_reply_that_is_cut_anywhere_between_tokens_goes_on_as_before(
    client: openai.OpenAI, question: str, tools: Any
) -> None:
    """White space at the cut belongs to one side or the other, and is lost on neither."""
    whole = ask(client, question, logprobs=True, **tools)
    tokens = [token.token for token in whole.logprobs.content]
    text = whole.message.content
    assert "".join(tokens) == text
    for number in range(1, len(tokens), max(1, len(tokens) // 6)):
        begun = "".join(tokens[:number])
        for fields in ({}, {"extra_body": CONTINUE}):
            rest = ask(client, question, begun, max_tokens=64 - number, **fields, **tools)
            assert begun + rest.message.content == text
        assert begun + ask(client, question, begun, stream=True, max_tokens=64 - number) == text


def test_what_is_set_holds_for_what_follows(client: openai.OpenAI) -> None:
    rest = ask(client, "Who are you?", "I am", logprobs=True, max_tokens=3)
    content = rest.message.content
    assert content.startswith(" ")
    assert "".join(token.token for token in rest.logprobs.content) == content
    assert rest.finish_reason == "length"
    stop = content[2]
    assert ask(client, "Who are you?", "I am", stop=stop).message.content == content[:2].rstrip()


@pytest.mark.parametrize(
    "begun", ["{", '{"', '{"城市": "', '{"城市": "上', '{"城市": "上海", "天数": ']
)
@pytest.mark.parametrize("fields", [{}, {"stream": True}, {"tools": [TOOL]}])
def test_json_goes_on(client: openai.OpenAI, begun: str, fields: dict[str, Any]) -> None:
    rest = ask(client, "上海，三天", begun, response_format=FORMAT, **fields)
    text = rest if isinstance(rest, str) else rest.message.content
    jsonschema.validate(json.loads(begun + text), SCHEMA)


def test_json_may_be_complete_already(client: openai.OpenAI) -> None:
    begun = '{"城市": "上海", "天数": 3}'
    rest = ask(client, "上海，三天", begun, response_format=FORMAT)
    assert (rest.message.content, rest.finish_reason) == ("", "stop")


def test_a_first_line_that_spells_a_tool_is_prose(client: openai.OpenAI) -> None:
    """No grammar of a call applies to it."""
    rest = ask(client, "你好", "get_weather\n你好！", tools=[TOOL])
    assert rest.message.tool_calls is None
    assert rest.finish_reason == "stop"


@pytest.mark.parametrize(
    ("begun", "fields", "param"),
    [
        ("好的", {"response_format": FORMAT}, "response_format"),
        ('{"国家": "', {"response_format": FORMAT}, "response_format"),
        ("get_weather\n", {"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ("\nget_weather\n", {"tools": [TOOL], "tool_choice": CHOICE}, "tool_choice"),
        ("好", {"extra_body": BOTH}, "continue_final_message"),
    ],
)
def test_what_cannot_go_on_is_refused(
    client: openai.OpenAI, begun: str, fields: Any, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "天气怎么样？", begun, **fields)
    assert caught.value.param == param


def test_a_message_of_its_own(client: openai.OpenAI) -> None:
    question, said = "你好", "你好！"
    new = ask(client, question, said, extra_body={"continue_final_message": False})
    old = ask(client, question, said, extra_body={"add_generation_prompt": True})
    assert new.message.content == old.message.content
