"""Holds a server's responses against the schema that Open Responses publishes.

python scripts/open_responses.py [URL]

The models of the schema are those of the package openresponses-types, which `make
check-open-responses` installs into an environment of its own. Without a URL, such as
http://127.0.0.1:8000/v1, the built-in model is served for it. The cases are those of Open
Responses' own compliance tests that a model of text can pass, and those that follow from the
schema: calls replayed, items referred to, JSON, replies that are cut.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import openresponses_types.types as schema
from pydantic import BaseModel, ValidationError

SECONDS = 300
QUESTION = [{"type": "message", "role": "user", "content": "北京的天气怎么样？"}]
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "查询城市的天气",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
PHASES = [
    {"type": "message", "role": "assistant", "phase": "commentary", "content": "我查一下。"},
    {"type": "message", "role": "assistant", "phase": "final_answer", "content": "晴。"},
]
CUT_CALL = {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": '{"ci'}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "晴"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "eA=="}
CASES: dict[str, dict[str, Any]] = {
    "text": {"input": QUESTION},
    "a string": {"input": "你好"},
    "instructions": {"input": QUESTION, "instructions": "请简短回答。"},
    "a system message": {"input": [{"role": "system", "content": "请简短回答。"}, *QUESTION]},
    "several turns": {"input": [*QUESTION, {"role": "assistant", "content": "晴。"}, *QUESTION]},
    "phases": {"input": [*PHASES, *QUESTION]},
    "a tool": {"input": QUESTION, "tools": [TOOL]},
    "a call": {"input": QUESTION, "tools": [TOOL], "tool_choice": "required"},
    "allowed tools": {
        "input": QUESTION,
        "tools": [TOOL],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "get_weather"}],
        },
    },
    "a call that was cut, and its result": {"input": [*QUESTION, CUT_CALL, RESULT]},
    "reasoning": {"input": [*QUESTION, REASONING, PHASES[1], *QUESTION]},
    "JSON": {"input": QUESTION, "text": {"format": {"type": "json_object"}}},
    "a cut reply": {"input": "讲个故事", "max_output_tokens": 16},
    "log probabilities": {"input": "你好", "top_logprobs": 2},
    "options": {
        "input": "你好",
        "metadata": {"a": "b"},
        "reasoning": {"effort": "low", "summary": None},
        "max_tool_calls": 3,
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "presence_penalty": 0.5,
        "service_tier": "auto",
        "truncation": "auto",
        "store": False,
    },
}


def event_models() -> dict[str, type[BaseModel]]:
    """Models of events, by the one value that their ``type`` has."""
    models = {}
    for model in vars(schema).values():
        if isinstance(model, type) and issubclass(model, BaseModel):
            fields = model.model_fields
            if {"type", "sequence_number"} <= fields.keys():
                (kind,) = fields["type"].annotation or ()
                models[kind.value] = model
    return models


EVENTS = event_models()


def check(body: Any) -> schema.ResponseResource:
    """The response of ``body``, if the schema has it so."""
    response = schema.ResponseResource.model_validate(body)
    expected = ("completed", "incomplete")
    if response.status not in expected or not response.output:
        raise ValueError(f"status {response.status}, {len(response.output)} items")
    return response


def plain(client: httpx.Client, case: dict[str, Any]) -> dict[str, Any]:
    """The response to ``case``."""
    reply = client.post("/responses", json={"model": "m", **case})
    if reply.is_error:
        raise ValueError(reply.text)
    check(reply.json())
    body: dict[str, Any] = reply.json()
    return body


def streamed(client: httpx.Client, case: dict[str, Any]) -> None:
    """Check each event of ``case`` as a stream, their numbers, and the response in the last."""
    reply = client.post("/responses", json={"model": "m", **case, "stream": True})
    if reply.is_error:
        raise ValueError(reply.text)
    lines = [line for line in reply.text.splitlines() if line.startswith("data: ")]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    for number, event in enumerate(events):
        EVENTS[event["type"]].model_validate(event)
        if event["sequence_number"] != number:
            raise ValueError(f"event {number} says that it is {event['sequence_number']}")
    check(events[-1]["response"])


def loop(client: httpx.Client) -> None:
    """Check a call and its result, where the call is only referred to, as the AI SDK does."""
    case = CASES["a call"]
    (call, *_) = plain(client, case)["output"]
    result = {**RESULT, "call_id": call["call_id"]}
    reference = {"type": "item_reference", "id": call["id"]}
    plain(client, {"input": [*QUESTION, reference, result], "tools": [TOOL]})


@contextmanager
def served() -> Iterator[str]:
    """The address of the built-in model, served until the end."""
    command = ["glm3edge", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = (line.split() for line in process.stdout or ())
            yield next(words[1] for words in lines if words[:1] == ["server"])
        finally:
            process.terminate()


def main(url: str) -> int:
    """Try all cases; returns how many failed."""
    num_failed = 0
    with httpx.Client(base_url=url, timeout=SECONDS) as client:
        tries: dict[str, Callable[[], object]] = {"a loop with a tool": partial(loop, client)}
        for name, case in CASES.items():
            tries[name] = partial(plain, client, case)
            tries[f"{name}, streamed"] = partial(streamed, client, case)
        for name, attempt in tries.items():
            try:
                attempt()
            except (ValueError, KeyError, ValidationError) as exc:
                num_failed += 1
                print(f"failed: {name}: {exc}")
            else:
                print(f"passed: {name}")
    return num_failed


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(sys.argv[1]) > 0)
    with served() as address:
        sys.exit(main(address) > 0)
