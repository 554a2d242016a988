"""Chunks of the services as replies and lines of Ollama's API."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from glm3edge.schema.base import ReplyModel, Usage
from glm3edge.schema.chat import ChatChunk
from glm3edge.schema.completions import CompletionReply
from glm3edge.serving.ollama.reply import GenerateWriter, chat_line, joined, load_part, reply_parts

USAGE = Usage(
    prompt_tokens=9,
    completion_tokens=3,
    total_tokens=12,
    prefill_seconds=0.25,
    decode_seconds=0.5,
)
COUNTS = {
    "prompt_eval_count": 9,
    "prompt_eval_duration": 250_000_000,
    "eval_count": 3,
    "eval_duration": 500_000_000,
}
LOGPROB = {"token": "好", "logprob": -1.0, "bytes": [229, 165, 189], "top_logprobs": []}


def piece(arguments: str, **fields: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {"arguments": arguments}, **fields}]}


def call(name: str, arguments: str) -> dict[str, Any]:
    return piece(arguments, id=f"id_{name}", function={"name": name, "arguments": arguments})


async def chunks(
    *deltas: dict[str, Any], reason: str = "stop", left: list[str]
) -> AsyncGenerator[ChatChunk, None]:
    """A stream as ``ChatService`` makes it; ``left`` is told when it is closed."""
    choices: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": ""}}]
    choices += [{"delta": d, "logprobs": d.get("logprobs")} for d in deltas]
    choices += [{"delta": {}, "finish_reason": reason}]
    body: dict[str, Any] = {"id": "c", "created": 1, "model": "m"}
    try:
        for choice in choices:
            yield ChatChunk.model_validate(body | {"choices": [choice]})
        yield ChatChunk.model_validate(body | {"choices": [], "usage": USAGE})
    finally:
        left.append("closed")


async def text_chunks(*texts: str, reason: str) -> AsyncGenerator[CompletionReply, None]:
    """A stream as ``CompletionService`` makes it."""
    body: dict[str, Any] = {"id": "c", "created": 1, "model": "m"}
    for text in texts:
        choice = {"index": 0, "text": text, "finish_reason": None}
        yield CompletionReply.model_validate(body | {"choices": [choice]})
    last = {"index": 0, "text": "", "finish_reason": reason}
    yield CompletionReply.model_validate(body | {"choices": [last]})
    yield CompletionReply.model_validate(body | {"choices": [], "usage": USAGE})


def dumped(body: ReplyModel) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(body.model_dump_json())
    return made


def streamed(*deltas: dict[str, Any], reason: str = "stop") -> list[dict[str, Any]]:
    async def collect() -> list[dict[str, Any]]:
        source = chunks(*deltas, reason=reason, left=[])
        parts = reply_parts(source, start=time.perf_counter_ns())
        return [dumped(chat_line(part, model="m")) async for part in parts]

    return asyncio.run(collect())


def whole(*deltas: dict[str, Any], reason: str = "stop") -> dict[str, Any]:
    async def collect() -> dict[str, Any]:
        source = chunks(*deltas, reason=reason, left=[])
        made = await joined(reply_parts(source, start=time.perf_counter_ns()))
        return dumped(chat_line(made, model="m"))

    return asyncio.run(collect())


def function(index: int, name: str, **arguments: Any) -> dict[str, Any]:
    return {
        "id": f"id_{name}",
        "function": {"index": index, "name": name, "arguments": arguments},
    }


@pytest.mark.parametrize(
    ("deltas", "content", "calls"),
    [
        ([], "", []),
        ([{"content": "你"}, {"content": "好"}], "你好", []),
        ([call("a", '{"x": 1}')], "", [function(0, "a", x=1)]),
        ([call("a", ""), piece('{"x"'), piece(": 1}")], "", [function(0, "a", x=1)]),
        (
            [{"content": "查"}, call("a", '{"x'), piece('": 1}'), call("b", "{}")],
            "查",
            [function(0, "a", x=1), function(1, "b")],
        ),
        ([call("a", '{"x": 1, "y')], "", [function(0, "a", x=1)]),
        ([call("a", "")], "", [function(0, "a")]),
    ],
)
def test_content_and_calls(deltas: list[Any], content: str, calls: list[Any]) -> None:
    lines = streamed(*deltas)
    assert "".join(line["message"]["content"] for line in lines) == content
    found = [call for line in lines for call in line["message"].get("tool_calls", ())]
    assert found == calls
    reply = whole(*deltas)["message"]
    assert (reply["content"], reply.get("tool_calls", [])) == (content, calls)
    assert ("tool_calls" in reply) == bool(calls)


def test_the_lines() -> None:
    first, last = streamed({"content": "好"})
    assert first.pop("created_at") <= last.pop("created_at")
    assert first == {
        "model": "m:latest",
        "message": {"role": "assistant", "content": "好"},
        "done": False,
    }
    assert 0 < last.pop("load_duration") < last.pop("total_duration")
    assert last == {
        "model": "m:latest",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        **COUNTS,
    }


def test_a_whole_reply_is_all_lines() -> None:
    reply = whole({"content": "你"}, {"content": "好"})
    assert reply["message"] == {"role": "assistant", "content": "你好"}
    assert (reply["done"], reply["done_reason"]) == (True, "stop")
    assert COUNTS.items() <= reply.items()


@pytest.mark.parametrize(
    ("reason", "expected"), [("stop", "stop"), ("length", "length"), ("tool_calls", "stop")]
)
def test_done_reasons(reason: str, expected: str) -> None:
    assert streamed({"content": "好"}, reason=reason)[-1]["done_reason"] == expected


def test_log_probabilities() -> None:
    delta = {"content": "好", "logprobs": {"content": [LOGPROB]}}
    assert [line.get("logprobs") for line in streamed(delta, delta)] == [[LOGPROB], [LOGPROB], None]
    assert whole(delta, delta)["logprobs"] == [LOGPROB, LOGPROB]
    assert "logprobs" not in whole({"content": "好"})


def test_a_prompts_reply_has_its_context_at_the_end() -> None:
    async def collect() -> list[dict[str, Any]]:
        writer = GenerateWriter("m", lambda text: [len(text)])
        source = text_chunks("从前", "有座山", reason="length")
        parts = reply_parts(source, start=time.perf_counter_ns())
        return [dumped(writer.line(part)) async for part in parts]

    lines = asyncio.run(collect())
    assert [line["response"] for line in lines] == ["从前", "有座山", ""]
    assert [line.get("context") for line in lines] == [None, None, [5]]
    assert (lines[-1]["done"], lines[-1]["done_reason"]) == (True, "length")
    assert COUNTS.items() <= lines[-1].items()


def test_durations_are_never_zero() -> None:
    """Clients divide by them."""
    usage = Usage(prompt_tokens=1, total_tokens=1)

    async def collect() -> dict[str, Any]:
        async def source() -> AsyncGenerator[ChatChunk, None]:
            yield ChatChunk(id="c", created=1, model="m", choices=[], usage=usage)

        made = await joined(reply_parts(source(), start=time.perf_counter_ns()))
        return dumped(chat_line(made, model="m"))

    reply = asyncio.run(collect())
    assert reply["prompt_eval_duration"] > 0
    assert reply["eval_duration"] > 0


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_the_reply_to_loading(reason: Any) -> None:
    reply = dumped(chat_line(load_part(reason), model="m:q4"))
    assert reply.pop("created_at").endswith("Z")
    assert reply == {
        "model": "m:q4",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": reason,
    }


def test_leaving_closes_the_source() -> None:
    left: list[str] = []

    async def leave() -> None:
        parts = reply_parts(chunks({"content": "好"}, left=left), start=0)
        await anext(parts)
        await parts.aclose()
        assert left == ["closed"]

    asyncio.run(leave())
