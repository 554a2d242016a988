"""Arguments of calls as they are written: real clients, random weights held to a schema."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import jsonschema
import openai
import pytest

from tests.support.servers import Server, start_server, stop_server

pytestmark = pytest.mark.live

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 20, "maxLength": 40},
        "options": {
            "type": "object",
            "properties": {
                "tags": {"type": "array", "items": {"enum": ["甲", "it's", 1, None]}, "maxItems": 3}
            },
            "required": ["tags"],
        },
    },
    "required": ["text", "options"],
}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "note", "parameters": SCHEMA}}
MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "记一下"}]


@pytest.fixture(scope="module")
def server(tiny_gguf: Path) -> Iterator[Server]:
    """Says the same each time, so that streams can be held against plain replies."""
    server = start_server(
        str(tiny_gguf), "--disk-cache", "0", "--deterministic", "--ctx-size", "4096"
    )
    yield server
    assert stop_server(server) == 0


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def create(client: Any) -> Any:
    def ask(**fields: Any) -> Any:
        make: Any = client.chat.completions.create
        options = {"max_tokens": 400, "tools": [TOOL], "tool_choice": "required"} | fields
        return make(model="m", messages=MESSAGES, temperature=1.2, **options)

    return ask


def streamed(create: Any, **fields: Any) -> tuple[list[str], str]:
    """Pieces of the arguments of a reply's one call, and its finish reason."""
    chunks = [chunk.choices[0] for chunk in create(stream=True, **fields)]
    deltas = [delta for choice in chunks for delta in choice.delta.tool_calls or ()]
    for number, delta in enumerate(deltas):
        is_first = number == 0
        assert (delta.index, delta.function.name) == (0, "note" if is_first else None)
        assert bool(delta.id) == is_first
    assert deltas[0].function.arguments == ""
    return [delta.function.arguments for delta in deltas[1:]], chunks[-1].finish_reason


@pytest.mark.parametrize("seed", range(5))
def test_joined_they_are_what_a_plain_reply_has(create: Any, seed: int) -> None:
    choice = create(seed=seed).choices[0]
    (call,) = choice.message.tool_calls
    jsonschema.validate(json.loads(call.function.arguments), SCHEMA)
    pieces, reason = streamed(create, seed=seed)
    assert "".join(pieces) == call.function.arguments
    assert reason == choice.finish_reason == "tool_calls"


@pytest.mark.parametrize("max_tokens", [*range(8, 24), 40])
def test_a_call_that_is_cut_is_the_beginning_of_the_whole(create: Any, max_tokens: int) -> None:
    whole = create(seed=1).choices[0].message.tool_calls[0].function.arguments
    choice = create(seed=1, max_tokens=max_tokens).choices[0]
    (call,) = choice.message.tool_calls
    assert whole.startswith(call.function.arguments)
    assert len(call.function.arguments) < len(whole)
    pieces, reason = streamed(create, seed=1, max_tokens=max_tokens)
    assert "".join(pieces) == call.function.arguments
    assert reason == choice.finish_reason == "length"


def test_a_stop_string_does_not_cut_a_call(create: Any) -> None:
    whole = create(seed=1).choices[0].message.tool_calls[0].function.arguments
    choice = create(seed=1, stop=["options=", '"options"', "tool_call"]).choices[0]
    (call,) = choice.message.tool_calls
    assert call.function.arguments == whole
    assert choice.finish_reason == "tool_calls"


@pytest.mark.parametrize("max_tokens", [24, 400])
def test_anthropics_client(server: Server, max_tokens: int) -> None:
    tool = {"name": "note", "input_schema": SCHEMA}
    options: Any = {"model": "m", "messages": MESSAGES, "tools": [tool]}
    options |= {"extra_body": {"temperature": 0}}
    options |= {"tool_choice": {"type": "any"}, "max_tokens": max_tokens}
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        plain: Any = client.messages.create(**options)
        with client.messages.stream(**options) as stream:
            pieces = [event for event in stream if event.type == "input_json"]
            message: Any = stream.get_final_message()
    assert pieces
    assert plain.stop_reason == message.stop_reason
    assert plain.stop_reason == ("tool_use" if max_tokens == 400 else "max_tokens")
    assert plain.content[0].input == message.content[0].input
    if max_tokens == 400:
        jsonschema.validate(plain.content[0].input, SCHEMA)


@pytest.mark.parametrize("max_tokens", [24, 400])
def test_responses(client: Any, max_tokens: int) -> None:
    options: Any = {"model": "m", "input": "记一下", "temperature": 0, "tool_choice": "required"}
    options |= {"tools": [TOOL["function"] | {"type": "function"}], "max_output_tokens": max_tokens}
    (plain,) = client.responses.create(**options).output
    with client.responses.stream(**options) as stream:
        events: Any = list(stream)
    (call,) = events[-1].response.output
    deltas = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    assert "".join(deltas) == call.arguments == plain.arguments
    assert call.status == plain.status == ("completed" if max_tokens == 400 else "incomplete")


def test_a_call_that_was_cut_is_no_hindrance_later(client: Any) -> None:
    options: Any = {"model": "m", "tools": [TOOL["function"] | {"type": "function"}]}
    cut = client.responses.create(
        **options, input="记一下", tool_choice="required", max_output_tokens=24
    )
    later = client.responses.create(
        **options, input="好", previous_response_id=cut.id, tool_choice="none", max_output_tokens=8
    )
    assert later.status in ("completed", "incomplete")
