"""Chat service, on a scripted backend."""

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from glm3edge.engine.engine import Engine
from glm3edge.engine.sequence import EngineSequence
from glm3edge.errors import EngineClosedError
from glm3edge.schema.chat import ChatChunk, ChatReply
from glm3edge.serving.chat.service import ChatService
from tests.support.fakes import ASSISTANT, EOS, OBSERVATION, FakeBackend, FakeVocabulary, spell
from tests.support.services import chat_request, run

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = [*spell("weather\n```python\ntool_call(city='北京')\n```"), OBSERVATION]


def complete(service: ChatService, engine: Engine, **fields: Any) -> ChatReply:
    reply = run(engine, lambda: service.complete(service.prepare(chat_request(**fields))))
    assert isinstance(reply, ChatReply)
    return reply


def stream(service: ChatService, engine: Engine, **fields: Any) -> list[dict[str, Any]]:
    async def collect() -> list[ChatChunk]:
        return [chunk async for chunk in service.stream(service.prepare(chat_request(**fields)))]

    return [json.loads(chunk.model_dump_json()) for chunk in run(engine, collect)]


def test_prose(backend: FakeBackend, service: ChatService, engine: Engine) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n 你好!"), EOS]
    reply = complete(service, engine, text="hi")
    assert reply.choices[0].message.content == "你好!"
    assert reply.choices[0].finish_reason == "stop"
    num_prompt_tokens = len(["[gMASK]", "sop", "<|user|>"]) + len("\nhi") + len(["<|assistant|>"])
    assert reply.usage.prompt_tokens == num_prompt_tokens + len("\n")
    assert reply.usage.completion_tokens == len("\n 你好!".encode()) + 1
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert "tool_calls" not in reply.model_dump()["choices"][0]["message"]


def test_a_stream(backend: FakeBackend, service: ChatService, engine: Engine) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n 好a"), EOS]
    backend.gate = gate = threading.Semaphore(
        len(spell("\n 好"))
    )  # what comes at once is one chunk

    async def collect() -> list[ChatChunk]:
        job = service.prepare(chat_request(stream_options={"include_usage": True}))
        found = []
        async for chunk in service.stream(job):
            found.append(chunk)
            if chunk.choices and chunk.choices[0].delta.content:
                gate.release()
        return found

    chunks = [json.loads(chunk.model_dump_json()) for chunk in run(engine, collect)]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    first = {"role": "assistant", "content": "", "refusal": None}
    assert deltas == [first, {"content": "好"}, {"content": "a"}, {}]
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert reasons == [None, None, None, "stop"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == len("\n 好a".encode()) + 1
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_usage_comes_only_when_asked_for(
    backend: FakeBackend, service: ChatService, engine: Engine
) -> None:
    backend.reply_for = lambda _prompt: [EOS]
    assert all("usage" not in chunk for chunk in stream(service, engine))


def test_length(backend: FakeBackend, service: ChatService, engine: Engine) -> None:
    backend.reply_for = lambda _prompt: spell("abcdef")
    reply = complete(service, engine, max_tokens=3)
    assert reply.choices[0].finish_reason == "length"
    assert reply.choices[0].message.content == "abc"
    assert reply.usage.completion_tokens == 3


def test_without_max_tokens_the_reply_may_fill_the_context(
    backend: FakeBackend, service: ChatService, engine: Engine
) -> None:
    backend.context_size = 50
    backend.reply_for = lambda _prompt: spell("x" * 100)
    reply = complete(service, engine)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.total_tokens == 50


def test_a_stop_string(backend: FakeBackend, service: ChatService, engine: Engine) -> None:
    backend.reply_for = lambda _prompt: spell("one\nObservation: two")
    reply = complete(service, engine, stop=["Observation:", "never"])
    assert reply.choices[0].message.content == "one"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.choices[0].stop_string == "Observation:"
    assert "stop_string" not in reply.model_dump_json()


def test_a_tool_call(backend: FakeBackend, service: ChatService, engine: Engine) -> None:
    backend.reply_for = lambda _prompt: [*spell("\n查一下"), ASSISTANT, *CALL]
    choice = complete(service, engine, tools=[WEATHER]).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "查一下"
    (call,) = choice.message.tool_calls or []
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "北京"}
    assert call.id.startswith("call_")


def test_a_call_alone_has_null_content(
    backend: FakeBackend, service: ChatService, engine: Engine
) -> None:
    backend.reply_for = lambda _prompt: CALL
    message = complete(service, engine, tools=[WEATHER]).model_dump()["choices"][0]["message"]
    assert message["content"] is None
    assert len(message["tool_calls"]) == 1


def test_a_streamed_tool_call(backend: FakeBackend, service: ChatService, engine: Engine) -> None:
    backend.reply_for = lambda _prompt: [*CALL[:-1], ASSISTANT, *CALL]
    chunks = stream(service, engine, tools=[WEATHER], tool_choice="auto")
    calls = [c for chunk in chunks for c in chunk["choices"][0]["delta"].get("tool_calls", [])]
    for index in (0, 1):
        first, *more = [call for call in calls if call["index"] == index]
        assert (first["type"], first["function"]["name"]) == ("function", "weather")
        assert not any("name" in call["function"] or "type" in call for call in more)
        arguments = "".join(call["function"]["arguments"] for call in [first, *more])
        assert json.loads(arguments) == {"city": "北京"}
    assert len({call["id"] for call in calls if "id" in call}) == 2
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


INTERPRETER = {"type": "code_interpreter"}
CODE = "```python\nprint('好')\n```"


def test_code_is_streamed_as_it_is_written(
    backend: FakeBackend, service: ChatService, engine: Engine
) -> None:
    backend.reply_for = lambda _prompt: [*spell("interpreter\n" + CODE), EOS]
    num_batches = len(spell("interpreter\n```python\nprint"))
    backend.gate = gate = threading.Semaphore(num_batches)

    async def collect() -> list[str]:
        job = service.prepare(chat_request(tools=[INTERPRETER]))
        names, pieces = [], [""]
        async for chunk in service.stream(job):
            for call in chunk.choices[0].delta.tool_calls or ():
                names.append(call.function.name)
                pieces.append(call.function.arguments)
            if "".join(pieces) == '{"code": "print':
                gate.release(100)
        assert names[0] == "interpreter"
        assert not any(names[1:])
        return pieces

    assert json.loads("".join(run(engine, collect))) == {"code": "print('好')"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_tokens": 27}, ('{"code": "print', "length")),
        ({"stop": ["("]}, ('{"code": "print(\'好\')"}', "tool_calls")),
    ],
)
def test_code_is_cut_by_the_token_limit_alone(
    backend: FakeBackend,
    service: ChatService,
    engine: Engine,
    fields: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    backend.reply_for = lambda _prompt: [*spell("interpreter\n" + CODE), EOS]
    choice = complete(service, engine, tools=[INTERPRETER], **fields).choices[0]
    (call,) = choice.message.tool_calls or []
    assert (call.function.arguments, choice.finish_reason) == expected


def test_tool_choice_none_offers_no_tools(
    backend: FakeBackend, service: ChatService, engine: Engine
) -> None:
    backend.reply_for = lambda _prompt: CALL
    reply = complete(service, engine, tools=[WEATHER], tool_choice="none")
    assert reply.choices[0].message.tool_calls is None
    assert (reply.choices[0].message.content or "").startswith("weather")
    assert reply.usage.prompt_tokens < 20


@pytest.mark.slow
def test_leaving_several_streams_cancels_them_all(
    backend: FakeBackend, service: ChatService, engine: Engine
) -> None:
    backend.reply_for = lambda _prompt: spell("x" * 3000)

    async def leave() -> None:
        chunks = service.stream(service.prepare(chat_request(n=3)))
        for _ in range(10):
            await anext(chunks)
        await chunks.aclose()
        while engine.num_running:
            await asyncio.to_thread(time.sleep, 0.01)

    run(engine, leave)
    assert len(backend.samplers) == 3
    assert all(sampler.is_closed and sampler.position < 3000 for sampler in backend.samplers)


def test_leaving_a_stream_cancels(
    backend: FakeBackend, service: ChatService, engine: Engine
) -> None:
    backend.reply_for = lambda _prompt: spell("x" * 3000)
    backend.gate = gate = threading.Semaphore(5)

    async def leave() -> None:
        chunks = service.stream(service.prepare(chat_request()))
        await anext(chunks)
        await anext(chunks)
        await chunks.aclose()
        gate.release()
        while engine.num_running:
            await asyncio.to_thread(time.sleep, 0.01)

    run(engine, leave)
    assert backend.samplers[0].is_closed
    assert backend.samplers[0].position < 3000


def test_a_closed_engine(service: ChatService, engine: Engine) -> None:
    engine.close()
    with pytest.raises(EngineClosedError):
        asyncio.run(service.complete(service.prepare(chat_request())))


def test_leaving_a_stream_cancels_at_once(
    backend: FakeBackend,
    service: ChatService,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not when the garbage collector finds the inner generator: on some machines that was never."""
    backend.reply_for = lambda _prompt: spell("x" * 3000)
    cancelled: list[object] = []
    cancel = engine.cancel

    def record(sequence: EngineSequence) -> None:
        cancelled.append(sequence)
        cancel(sequence)

    monkeypatch.setattr(engine, "cancel", record)

    async def leave() -> None:
        chunks = service.stream(service.prepare(chat_request()))
        await anext(chunks)
        await anext(chunks)
        await chunks.aclose()
        assert cancelled

    run(engine, leave)


@pytest.mark.parametrize(
    ("reply", "content"),
    [
        ([*spell("\n 你好!"), EOS], "你好!"),
        (spell("no newline"), "no newline"),
        ([*spell("\nfirst"), ASSISTANT, *CALL], "first"),
        ([*spell("\nfirst"), ASSISTANT, *spell("\nsecond"), EOS], "firstsecond"),
        (CALL, ""),
        ([*spell("wea"), EOS], "wea"),
        ([*spell("weather\nis fine"), EOS], "weather\nis fine"),
    ],
)
def test_logprobs_are_those_of_the_content(
    backend: FakeBackend,
    service: ChatService,
    engine: Engine,
    reply: list[int],
    content: str,
) -> None:
    backend.reply_for = lambda _prompt: reply
    wanted: dict[str, Any] = {"tools": [WEATHER], "logprobs": True, "top_logprobs": 2}
    wanted["max_tokens"] = len(reply)

    async def both() -> tuple[ChatReply, list[ChatChunk]]:
        job = service.prepare(chat_request(**wanted))
        return await service.complete(job), [chunk async for chunk in service.stream(job)]

    whole, streamed_chunks = run(engine, both)
    choice = whole.choices[0].model_dump()
    tokens = choice["logprobs"]["content"] if choice["logprobs"] else []
    chunks = [json.loads(chunk.model_dump_json()) for chunk in streamed_chunks]
    streamed = [c["logprobs"] for chunk in chunks for c in chunk["choices"] if "logprobs" in c]
    assert [token for part in streamed for token in part["content"]] == tokens
    is_call = "weather\nis" in content  # what looked like a call until its end has none
    assert is_call or bytes(b for token in tokens for b in token["bytes"]).decode() == content
    assert all(token["logprob"] == -1.0 for token in tokens)
    assert all([top["logprob"] for top in token["top_logprobs"]] == [-1, -2] for token in tokens)


@pytest.mark.parametrize(("wanted", "tops"), [(None, None), (False, None), (True, [[], []])])
def test_logprobs_come_only_when_asked_for(
    backend: FakeBackend,
    service: ChatService,
    engine: Engine,
    wanted: bool | None,
    tops: list[Any] | None,
) -> None:
    backend.reply_for = lambda _prompt: [*spell("hi"), EOS]
    found = complete(service, engine, logprobs=wanted).choices[0].logprobs
    assert (found and [token.top_logprobs for token in found.content]) == tops


PROGRESS = {"stream": True, "stream_options": {"include_progress": True}}


def test_progress_of_long_prompts(service: ChatService, engine: Engine) -> None:
    """Before each of several batches, for all replies together."""
    text = "x" * 1200
    chunks = stream(service, engine, text=text, n=2, **PROGRESS)
    found = [chunk["prompt_progress"] for chunk in chunks if "prompt_progress" in chunk]
    total = found[0]["total"]
    assert total > len(text)
    assert [entry["processed"] for entry in found] == [0, 512, 1024]
    assert {(entry["total"], entry["cached"]) for entry in found} == {(total, 0)}
    assert sorted(entry["seconds"] for entry in found) == [entry["seconds"] for entry in found]
    assert all(chunk["choices"] == [] for chunk in chunks if "prompt_progress" in chunk)


@pytest.mark.parametrize(
    ("text", "options"), [("x" * 100, PROGRESS), ("x" * 1200, {"stream": True})]
)
def test_no_progress_of_short_prompts_or_unasked(
    service: ChatService, engine: Engine, text: str, options: dict[str, Any]
) -> None:
    chunks = stream(service, engine, text=text, **options)
    assert not any("prompt_progress" in chunk for chunk in chunks)


def test_usage_tells_of_guesses(backend: FakeBackend, service: ChatService) -> None:
    backend.reply_for = lambda _prompt: [*spell("ab" * 30), EOS]
    engine = Engine(backend)
    drafting = ChatService(engine, FakeVocabulary(), model_id="fake")
    usage = complete(drafting, engine).usage
    engine.close()
    details = usage.completion_tokens_details
    assert details is not None
    assert details.accepted_prediction_tokens == usage.completion_tokens - len(backend.batches)
    assert details.accepted_prediction_tokens > 0


@pytest.mark.parametrize(
    ("model", "expected", "adapter"),
    [("poet", "poet", 1), ("clerk", "clerk", 2), ("fake", "fake", 0), ("gpt-4o", "fake", 0)],
)
def test_the_model_field_chooses_an_adapter(
    backend: FakeBackend, engine: Engine, model: str, expected: str, adapter: int
) -> None:
    service = ChatService(engine, FakeVocabulary(), model_id="fake", adapter_ids=["poet", "clerk"])
    backend.reply_for = lambda _prompt: [*spell("x"), EOS]
    job = service.prepare(chat_request(model=model, n=2, stream_options={"include_usage": True}))

    async def both() -> list[ChatReply | ChatChunk]:
        return [await service.complete(job), *[chunk async for chunk in service.stream(job)]]

    assert {reply.model for reply in run(engine, both)} == {expected}
    assert set(backend.adapters) == {adapter}
