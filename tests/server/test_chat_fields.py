"""Every field of OpenAI's reference: once obeyed or ignored, once refused with its name."""

from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from starlette.testclient import TestClient

from glm3edge.schema.chat import ChatRequest
from glm3edge.schema.legacy import ChatBody
from tests.support.fakes import EOS, FakeBackend, spell

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "你好"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "查询天气",
        "description": "某地的天气",
        "parameters": {"type": "object", "properties": {"城市": {"type": "string"}}},
    },
}
NAMED = {"type": "function", "function": {"name": "查询天气"}}
CUSTOM = {"type": "custom", "custom": {"name": "sql"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "查询天气", "arguments": "{}"}}

# field, what is accepted, what is refused, the name in the refusal
FIELDS: list[tuple[str, Any, Any, str]] = [
    ("messages", HELLO, [], "messages"),
    ("model", "gpt-4o", 4, "model"),
    ("audio", None, {"voice": "alloy", "format": "wav"}, "audio"),
    ("frequency_penalty", 0.5, 3, "frequency_penalty"),
    ("logit_bias", {"5": -100}, {"五": 1}, "logit_bias.五"),
    ("logprobs", True, "maybe", "logprobs"),
    ("max_completion_tokens", 9, 0, "max_completion_tokens"),
    ("max_tokens", 9, -1, "max_tokens"),
    ("metadata", {"来源": "测试"}, {"a": 1}, "metadata.a"),
    ("metadata", {}, {str(n): "" for n in range(17)}, "metadata"),
    ("modalities", ["text"], ["text", "audio"], "modalities"),
    ("moderation", None, {"model": "omni-moderation-latest"}, "moderation"),
    ("n", 2, 65, "n"),
    ("parallel_tool_calls", False, "some", "parallel_tool_calls"),
    ("prediction", {"type": "content", "content": "你好"}, {"type": "text"}, "prediction.type"),
    ("presence_penalty", 1.1, -2.5, "presence_penalty"),
    ("prompt_cache_key", "k", 1, "prompt_cache_key"),
    (
        "prompt_cache_options",
        {"mode": "explicit", "ttl": "30m"},
        {"mode": "both"},
        "prompt_cache_options.mode",
    ),
    ("prompt_cache_retention", "24h", "48h", "prompt_cache_retention"),
    ("reasoning_effort", "high", "some", "reasoning_effort"),
    ("response_format", {"type": "text"}, {"type": "xml"}, "response_format.type"),
    ("safety_identifier", "u", 1, "safety_identifier"),
    ("seed", 7, "seven", "seed"),
    ("service_tier", "flex", "gold", "service_tier"),
    ("stop", ["停", "止"], ["x"] * 17, "stop"),
    ("store", True, "yes please", "store"),
    ("stream", False, "later", "stream"),
    (
        "stream_options",
        {"include_usage": True, "include_obfuscation": False},
        {"include_usage": "all"},
        "stream_options.include_usage",
    ),
    ("temperature", 0.8, 2.1, "temperature"),
    ("tool_choice", "auto", "sometimes", "tool_choice"),
    ("tool_choice", "none", {"type": "function"}, "tool_choice.function"),
    ("tool_choice", None, CUSTOM, "tool_choice"),
    ("tool_choice", None, {"type": "allowed_tools"}, "tool_choice.allowed_tools"),
    ("tools", [WEATHER], [WEATHER, {"type": "function"}], "tools[1].function"),
    ("tools", [], [CUSTOM], "tools[0].type"),
    ("top_p", 0.8, 1.1, "top_p"),
    ("user", "u", 1, "user"),
    ("verbosity", "low", "chatty", "verbosity"),
    ("web_search_options", None, {}, "web_search_options"),
    ("functions", [WEATHER["function"]], [{}], "functions[0].name"),
    ("functions", [], "查询天气", "functions"),
    ("function_call", "auto", "required", "function_call"),
    ("function_call", "none", {"name": ""}, "function_call.name"),
    # Not OpenAI's, but the official ChatGLM3 server's and others'.
    ("repetition_penalty", 1.1, 0, "repetition_penalty"),
    ("top_k", 50, -1, "top_k"),
    ("min_p", 0.1, 2, "min_p"),
    ("priority", "background", "urgent", "priority"),
    ("truncation", "auto", "oldest", "truncation"),
    ("continue_final_message", False, True, "continue_final_message"),
    ("add_generation_prompt", True, False, "add_generation_prompt"),
]


@pytest.fixture(autouse=True)
def _reply(backend: FakeBackend) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n好"), EOS]


def post(client: TestClient, **fields: Any) -> tuple[int, Any]:
    reply = client.post(CHAT, json={"messages": HELLO} | fields)
    return reply.status_code, reply.json()


def test_no_field_of_the_reference_is_unknown() -> None:
    assert set(CompletionCreateParamsBase.__annotations__) <= set(ChatBody.model_fields)


def test_the_table_has_every_field() -> None:
    assert {field for field, *_ in FIELDS} | {"top_logprobs"} >= set(ChatBody.model_fields)


@pytest.mark.parametrize(("field", "accepted", "refused", "param"), FIELDS)
def test_a_field(
    client: TestClient, field: str, accepted: object, refused: object, param: str
) -> None:
    status, body = post(client, **{field: accepted})
    assert (status, body["choices"][0]["message"]["content"]) == (200, "好"), body
    status, body = post(client, **{field: refused})
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert body["error"]["param"] == param
    assert body["error"]["message"].startswith(f"{param}: ")


@pytest.mark.parametrize("field", [name for name in ChatBody.model_fields if name != "messages"])
def test_null_is_as_good_as_nothing(client: TestClient, field: str) -> None:
    assert post(client, **{field: None})[0] == 200


def test_top_logprobs_go_with_logprobs(client: TestClient) -> None:
    assert post(client, logprobs=True, top_logprobs=2)[0] == 200
    status, body = post(client, logprobs=True, top_logprobs=21)
    assert (status, body["error"]["param"]) == (400, "top_logprobs")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"audio": {"voice": "alloy", "format": "wav"}}, "speak the reply yourself"),
        ({"modalities": ["audio"]}, 'use ["text"]'),
        ({"web_search_options": {}}, "offer a search function in tools"),
        ({"moderation": {"model": "m"}}, "no moderation model"),
        ({"tools": [CUSTOM]}, "use a tool of type function"),
        ({"tool_choice": CUSTOM}, "use a tool of type function"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CUSTOM]}}},  # noqa: E501
            "use a tool of type function",
        ),
    ],
)  # fmt: skip
def test_what_is_refused_says_what_to_do(
    client: TestClient, fields: dict[str, Any], words: str
) -> None:
    assert words in post(client, **fields)[1]["error"]["message"]


TEXT = {"type": "text", "text": "你好"}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "user", "content": "你好"}, "你好"),
        ({"role": "user", "content": [TEXT, {"type": "text", "text": "吗"}]}, "你好吗"),
        ({"role": "user", "content": [TEXT], "name": "小明"}, "你好"),
        ({"role": "user", "content": []}, ""),
        ({"role": "developer", "content": [TEXT]}, "你好"),
        ({"role": "system", "content": "你好"}, "你好"),
        ({"role": "observation", "content": "22 度"}, "22 度"),
        ({"role": "assistant", "content": [TEXT, {"type": "refusal", "refusal": "不"}]}, "你好不"),
        ({"role": "assistant", "content": None, "refusal": "不行"}, "不行"),
        ({"role": "assistant", "tool_calls": [CALL], "audio": None, "function_call": None}, ""),
        ({"role": "assistant", "content": "好", "annotations": [], "refusal": None}, "好"),
    ],
)
def test_messages_are_text(client: TestClient, message: dict[str, Any], text: str) -> None:
    assert post(client, messages=[message])[0] == 200
    assert ChatRequest.model_validate({"messages": [message]}).messages[0].text == text


IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}


@pytest.mark.parametrize(
    ("message", "param", "words"),
    [
        ({"role": "user", "content": 3}, "content", "string"),
        ({"role": "user", "content": {"type": "text", "text": "x"}}, "content", "string"),
        ({"role": "user", "content": [TEXT, IMAGE]}, "content[1]", "describe the image"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "content[0]", "what is said"),
        ({"role": "user", "content": [{"type": "file"}]}, "content[0]", "the file's text"),
        ({"role": "user", "content": ["x"]}, "content[0]", '"type": "text"'),
        ({"role": "user", "content": [None]}, "content[0]", '"type": "text"'),
        ({"role": "user", "content": [{"type": "text"}]}, "content[0].text", "required"),
        ({"role": "user", "content": [{"type": "text", "text": 1}]}, "content[0].text", "string"),
        ({"role": "robot", "content": "x"}, "role", "Input should be"),
        ({"content": "x"}, "role", "required"),
        ({"role": "assistant", "audio": {"id": "a"}}, "audio", "send what was said"),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", **CUSTOM}]},
            "tool_calls[0].type",
            "use a tool of type function",
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "function"}]},
            "tool_calls[0].function",
            "required",
        ),
    ],
)
def test_what_is_wrong_in_a_message_is_named(
    client: TestClient, message: dict[str, Any], param: str, words: str
) -> None:
    status, body = post(client, messages=[*HELLO, message])
    assert status == 400
    assert body["error"]["param"] == f"messages[1].{param}"
    assert words in body["error"]["message"]
    assert "<" not in body["error"]["message"]


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def prompt_of(backend: FakeBackend) -> str:
    ids = [token_id for span in backend.batches[0] for token_id in span.token_ids]
    return b"".join(backend.piece(token_id) for token_id in ids).decode()


def test_only_allowed_tools_are_offered(backend: FakeBackend, client: TestClient) -> None:
    time = {"type": "function", "function": {"name": "报时"}}
    status, _ = post(client, tools=[WEATHER, time], tool_choice=allowed("auto", "报时"))
    assert status == 200
    assert "报时" in prompt_of(backend)
    assert "查询天气" not in prompt_of(backend)


def test_allowed_tools_have_to_be_there(client: TestClient) -> None:
    status, body = post(client, tools=[WEATHER], tool_choice=allowed("auto", "报时"))
    assert (status, body["error"]["param"]) == (400, "tool_choice")
    assert "tools has no tool '报时'" in body["error"]["message"]
