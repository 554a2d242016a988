"""Ollama's requests as requests of the services."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import ChatRequest, Message
from glm3edge.schema.ollama import GenerateRequest, OllamaChatRequest
from glm3edge.serving.ollama.request import (
    chat_request,
    completion_request,
    embeddings_request,
    generate_request,
    load_reason,
    translate_error,
)

HELLO = {"role": "user", "content": "你好"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"name": "weather", "description": "查询天气", "parameters": SCHEMA}


def call(name: str = "weather", **fields: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": {"city": "北京"}}, **fields}


def called(*calls: dict[str, Any], content: str | None = "") -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def result(content: str, **fields: Any) -> dict[str, Any]:
    return {"role": "tool", "content": content, **fields}


def translated(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    body = {"model": "m", "messages": messages or [HELLO], **fields}
    return chat_request(OllamaChatRequest.model_validate(body))


def generated(*history: Message, **fields: Any) -> ChatRequest:
    body = GenerateRequest.model_validate({"model": "m", "prompt": "你好", **fields})
    return generate_request(body, history)


def said(request: ChatRequest) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in request.messages]


def answers(request: ChatRequest) -> list[tuple[str, str]]:
    """Each result with the call that it belongs to, or with nothing."""
    names = {
        call.id: call.function.name
        for message in request.messages
        for call in message.tool_calls or ()
    }
    return [
        (message.text, names.get(message.tool_call_id or "", ""))
        for message in request.messages
        if message.role in ("tool", "observation")
    ]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([HELLO], [("user", "你好")]),
        ([{"role": "User", "content": "你好"}], [("user", "你好")]),
        ([{"role": "user"}], [("user", "")]),
        ([HELLO | {"images": []}], [("user", "你好")]),
        (
            [{"role": "system", "content": "简短"}, HELLO],
            [("system", "简短"), ("user", "你好")],
        ),
        (
            [HELLO, {"role": "assistant", "content": "好", "thinking": "嗯"}],
            [("user", "你好"), ("assistant", "好")],
        ),
    ],
)
def test_messages(messages: list[dict[str, Any]], expected: list[tuple[str, str]]) -> None:
    assert said(translated(*messages)) == expected


def test_calls_have_arguments_as_text() -> None:
    (_, message) = translated(HELLO, called(call(), call("time"), content=None)).messages
    found = [call.function for call in message.tool_calls or ()]
    assert [(f.name, json.loads(f.arguments)) for f in found] == [
        ("weather", {"city": "北京"}),
        ("time", {"city": "北京"}),
    ]
    assert len({call.id for call in message.tool_calls or ()}) == 2


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        # By order: Home Assistant sends neither names nor ids.
        ([called(call()), result("晴")], [("晴", "weather")]),
        (
            [called(call("a"), call("b")), result("1"), result("2")],
            [("1", "a"), ("2", "b")],
        ),
        # By name, in any order.
        (
            [called(call("a"), call("b")), result("2", tool_name="b"), result("1", tool_name="a")],
            [("2", "b"), ("1", "a")],
        ),
        (
            [called(call("a"), call("a")), result("1", tool_name="a"), result("2", tool_name="a")],
            [("1", "a"), ("2", "a")],
        ),
        (
            [called(call("a"), call("b")), result("2", tool_name="b"), result("1")],
            [("2", "b"), ("1", "a")],
        ),
        ([called(call("a")), result("1", tool_name="zzz")], [("1", "a")]),
        # By id, which LangChain and Ollama's newer clients send.
        (
            [
                called(call("a", id="x"), call("b", id="y")),
                result("2", tool_call_id="y"),
                result("1", tool_call_id="x", tool_name="b"),
            ],
            [("2", "b"), ("1", "a")],
        ),
        ([called(call("a", id="x")), result("1", tool_call_id="zzz")], [("1", "a")]),
        # A later turn may have the same ids.
        (
            [
                called(call("a", id="x")),
                result("1", tool_call_id="x"),
                called(call("b", id="x")),
                result("2", tool_call_id="x"),
            ],
            [("1", "a"), ("2", "b")],
        ),
        # The call was cut off with older messages, or there are more results than calls.
        ([result("晴", tool_name="weather")], [("晴", "")]),
        ([called(call("a")), result("1"), result("2")], [("1", "a"), ("2", "")]),
    ],
)
def test_results(messages: list[dict[str, Any]], expected: list[tuple[str, str]]) -> None:
    assert answers(translated(HELLO, *messages)) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, {}),
        ({}, {}),
        ({"num_predict": 5}, {"max_tokens": 5}),
        ({"num_predict": -1}, {}),
        ({"num_predict": -2}, {}),
        ({"num_predict": 0}, {}),
        ({"num_predict": None, "stop": None}, {}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.5, "min_p": 0.1}, {"top_p": 0.5, "min_p": 0.1}),
        ({"top_k": 5}, {"top_k": 5}),
        ({"top_k": -1}, {"top_k": 0}),
        ({"seed": 0}, {"seed": 0}),
        ({"seed": -1}, {}),
        ({"stop": ["。", "！"]}, {"stop": ["。", "！"]}),
        ({"stop": "。"}, {"stop": "。"}),
        ({"repeat_penalty": 1.2}, {"repetition_penalty": 1.2}),
        (
            {"presence_penalty": 0.5, "frequency_penalty": -0.5},
            {"presence_penalty": 0.5, "frequency_penalty": -0.5},
        ),
        ({"num_ctx": 8192, "num_gpu": 1, "use_mmap": True, "mirostat": 2, "tfs_z": 1}, {}),
    ],
)
def test_options(options: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    fields = (
        *("max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stop"),
        *("repetition_penalty", "presence_penalty", "frequency_penalty"),
    )
    for request in (translated(options=options), generated(options=options)):
        given = {name: getattr(request, name) for name in fields}
        assert {name: value for name, value in given.items() if value is not None} == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, None),
        ("", None),
        ("json", ("json_object", None)),
        (SCHEMA, ("json_schema", SCHEMA)),
        ({}, None),
    ],
)
def test_formats(wanted: Any, expected: tuple[str, Any] | None) -> None:
    for request in (translated(format=wanted), generated(format=wanted)):
        found = request.response_format
        schema = found.json_schema if found else None
        assert expected == (found and (found.type, schema and schema.definition))


def test_tools() -> None:
    tools = [{"type": "function", "function": WEATHER}, {"function": {"name": "now"}}]
    found = [tool.function for tool in translated(tools=tools).tools or ()]
    assert [(f.name, f.description, f.parameters) for f in found] == [
        ("weather", "查询天气", SCHEMA),
        ("now", None, None),
    ]


@pytest.mark.parametrize(
    ("name", "expected"), [("m", "m"), ("m:latest", "m"), ("m:q4", "m:q4"), ("", "")]
)
def test_model_names(name: str, expected: str) -> None:
    assert translated(model=name).model == expected
    assert generated(model=name).model == expected
    raw = GenerateRequest(model=name, prompt="x", raw=True)
    assert completion_request(raw).model == expected
    assert embeddings_request(name, "x", dimensions=0).model == expected


@pytest.mark.parametrize(
    ("truncate", "expected"), [(None, "auto"), (True, "auto"), (False, "disabled")]
)
def test_long_conversations_are_cut_by_default(truncate: bool | None, expected: str) -> None:
    assert translated(truncate=truncate).truncation == expected


def test_log_probabilities() -> None:
    asked = translated(logprobs=True, top_logprobs=3)
    assert (asked.logprobs, asked.top_logprobs) == (True, 3)
    assert translated(top_logprobs=3).top_logprobs is None  # they only count with logprobs


def test_a_prompt_goes_on_from_its_context() -> None:
    history = [Message(role="system", content="旧"), Message(role="user", content="一")]
    assert said(generated()) == [("user", "你好")]
    assert said(generated(system="简短")) == [("system", "简短"), ("user", "你好")]
    assert said(generated(*history)) == [("system", "旧"), ("user", "一"), ("user", "你好")]
    assert said(generated(*history, system="新")) == [
        ("system", "新"),
        ("user", "一"),
        ("user", "你好"),
    ]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"think": True}, "think"),
        ({"think": "high"}, "think"),
        ({"suffix": "end"}, "suffix"),
        ({"template": "{{ .Prompt }}"}, "template"),
    ],
)
def test_what_the_model_cannot_do(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{param}: ") as caught:
        generated(**fields)
    assert caught.value.param == param
    with pytest.raises(InvalidRequestError, match=f"^{param}: "):
        completion_request(GenerateRequest(prompt="x", raw=True, **fields))
    if param == "think":
        with pytest.raises(InvalidRequestError, match="'m' does not support thinking"):
            translated(**fields)


@pytest.mark.parametrize("fields", [{"think": False}, {"suffix": ""}, {"template": ""}])
def test_what_asks_for_nothing(fields: dict[str, Any]) -> None:
    assert said(generated(**fields)) == [("user", "你好")]


@pytest.mark.parametrize(
    "fields",
    [{"system": "简短"}, {"context": [1]}, {"format": "json"}, {"logprobs": True}],
)
def test_what_a_raw_prompt_cannot_have(fields: dict[str, Any]) -> None:
    body = GenerateRequest.model_validate({"prompt": "x", "raw": True, **fields})
    with pytest.raises(InvalidRequestError, match="raw mode does not support it"):
        completion_request(body)


def test_a_raw_prompt_goes_on_as_far_as_it_fits() -> None:
    body = GenerateRequest.model_validate({"prompt": "从前", "raw": True})
    assert completion_request(body).prompt == "从前"
    assert (completion_request(body).max_tokens or 0) > 10**9  # the service lowers it
    short = body.model_validate({"prompt": "从前", "options": {"num_predict": 3}})
    assert completion_request(short).max_tokens == 3


@pytest.mark.parametrize(
    ("message", "param", "expected"),
    [
        ("response_format: no", "response_format", "format: no"),
        ("messages[0]: x", "messages[0]", "messages[0]: x"),
        ("x", None, "x"),
    ],
)
def test_errors_name_the_callers_fields(message: str, param: str | None, expected: str) -> None:
    assert str(translate_error(InvalidRequestError(message, param=param))) == expected


@pytest.mark.parametrize(
    ("keep_alive", "expected"),
    [
        (None, "load"),
        ("5m", "load"),
        (300, "load"),
        (-1, "load"),
        ("10s", "load"),
        (0, "unload"),
        (0.0, "unload"),
        ("0", "unload"),
        ("0s", "unload"),
        ("0.0m", "unload"),
    ],
)
def test_requests_to_load(keep_alive: Any, expected: str) -> None:
    fields = {"keep_alive": keep_alive}
    assert load_reason(OllamaChatRequest.model_validate(fields)) == expected
    assert load_reason(OllamaChatRequest.model_validate(fields | {"messages": []})) == expected
    assert load_reason(GenerateRequest.model_validate(fields)) == expected
    assert load_reason(GenerateRequest.model_validate(fields | {"prompt": ""})) == expected
    assert load_reason(GenerateRequest.model_validate(fields | {"prompt": "x"})) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "robot"}]},
        {"messages": [HELLO | {"images": ["aGk="]}]},
        {"messages": [called({"function": {"name": "a", "arguments": '{"city": 1}'}})]},
        {"format": "xml"},
        {"format": ["json"]},
        {"think": "very"},
        {"options": {"temperature": "hot"}},
        {"options": {"temperature": 3}},
        {"options": {"stop": ["a"] * 17}},
        {"top_logprobs": 21},
    ],
)
def test_wrong_values(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OllamaChatRequest.model_validate({"messages": [HELLO], **fields})
