"""Chunks of a stream, one for each item of a reply."""

import json
from dataclasses import replace
from typing import Any

import pytest

from glm3edge.chatglm3.parser import ProseDelta, ReplyParser, ToolCallDelta
from glm3edge.core import FinishReason, ProgressEvent, SamplingParams
from glm3edge.engine.request import GenerationRequest
from glm3edge.schema.chat import ChatChunk, Truncation
from glm3edge.serving.chat.chunks import first_chunk, item_chunk, usage_chunk
from glm3edge.serving.chat.job import ChatJob
from glm3edge.serving.chat.parts import ChatFinished, Part, PartReader
from tests.support.fakes import ASSISTANT

GENERATION = GenerationRequest(
    prompt_ids=[1, 2, 3], max_new_tokens=9, sampling=SamplingParams(), stop_token_ids=frozenset()
)
JOB = ChatJob(
    id="chatcmpl-1",
    created=5,
    model="m",
    generations=(GENERATION, GENERATION),
    make_reader=lambda stops: PartReader(stops, parser=ReplyParser(assistant_id=ASSISTANT)),
    include_usage=True,
    truncation=Truncation(dropped_messages=2, dropped_tokens=7),
)
FRAME = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "m"}
END = ChatFinished(
    FinishReason.STOP,
    num_completion_tokens=4,
    num_cached_tokens=2,
    stop_string="!",
    has_calls=False,
    ends_in_prose=True,
)


def body(chunk: ChatChunk) -> dict[str, Any]:
    """What a chunk says besides what all chunks say."""
    fields = chunk.model_dump()
    assert fields.items() >= FRAME.items()
    if "usage" in fields and fields["usage"] is None:  # until the last chunk
        del fields["usage"]
    return {name: value for name, value in fields.items() if name not in FRAME}


def choice(index: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": reason}]}


def test_the_first_chunk_of_the_first_choice_tells_of_the_truncation() -> None:
    begin = {"role": "assistant", "content": "", "refusal": None}
    truncation = {"dropped_messages": 2, "dropped_tokens": 7}
    assert body(first_chunk(JOB, 0)) == choice(0, begin) | {"truncation": truncation}
    assert body(first_chunk(JOB, 1)) == choice(1, begin)


def test_prose() -> None:
    assert body(item_chunk(JOB, 1, Part(ProseDelta("好")))) == choice(1, {"content": "好"})


def test_a_call_has_its_id_once() -> None:
    begun = body(item_chunk(JOB, 0, Part(ToolCallDelta(3, "weather", ""))))
    (call,) = begun["choices"][0]["delta"]["tool_calls"]
    assert call.pop("id").startswith("call_")
    assert call == {
        "index": 3,
        "type": "function",
        "function": {"name": "weather", "arguments": ""},
    }
    more = body(item_chunk(JOB, 0, Part(ToolCallDelta(3, None, "{}"))))
    assert more == choice(0, {"tool_calls": [{"index": 3, "function": {"arguments": "{}"}}]})


def test_an_ending() -> None:
    chunk = item_chunk(JOB, 1, END)
    assert body(chunk) == choice(1, {}, "stop")
    assert chunk.choices[0].stop_string == "!"


def test_progress_belongs_to_no_choice() -> None:
    event = ProgressEvent(num_tokens=9, num_cached=2, num_processed=5, seconds=1.23456)
    progress = {"total": 9, "cached": 2, "processed": 5, "seconds": 1.235}
    assert body(item_chunk(JOB, 1, event)) == {"choices": [], "prompt_progress": progress}


@pytest.mark.parametrize("include_usage", [False, True])
def test_usage_is_null_until_the_end_where_it_is_asked_for(include_usage: bool) -> None:
    job = replace(JOB, include_usage=include_usage)
    chunks = [
        first_chunk(job, 0),
        item_chunk(job, 0, Part(ProseDelta("好"))),
        item_chunk(job, 0, END),
    ]
    told = [json.loads(chunk.model_dump_json()).get("usage", "absent") for chunk in chunks]
    assert told == [None if include_usage else "absent"] * 3


def test_usage_counts_the_prompt_once() -> None:
    found = body(usage_chunk(JOB, [END, END]))
    assert found["choices"] == []
    assert found["usage"]["prompt_tokens"] == 3
    assert found["usage"]["completion_tokens"] == 8
    assert found["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}
