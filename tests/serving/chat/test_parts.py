"""What of a reply its client sees: stop strings, the token limit and log probabilities go by it."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm3edge.chatglm3.chat_logprobs import ContentLogprobs
from glm3edge.chatglm3.parser import ProseDelta, ReplyParser, ToolCallDelta
from glm3edge.core import FinishReason, GenerationFinished, TokenEvent, TokenLogprobs
from glm3edge.engine.engine import Engine
from glm3edge.engine.text_stream import Detokenizer
from glm3edge.schema.chat import ChatReply, ChatRequest
from glm3edge.serving.chat.parts import ChatFinished, Part, PartReader, merged
from glm3edge.serving.chat.service import ChatService
from tests.support.fakes import (
    ASSISTANT,
    EOS,
    OBSERVATION,
    FakeBackend,
    FakeVocabulary,
    piece,
    spell,
)
from tests.support.services import run

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("get_weather", "查天气")
]
CALL = "get_weather\n```python\ntool_call(city='北京', n=3)\n```"


def read(
    token_ids: list[int], stops: tuple[str, ...] = (), tools: tuple[str, ...] = ()
) -> tuple[str, list[str], list[str], ChatFinished]:
    """Content, calls, the tokens that log probabilities tell of, and the ending."""
    parser = ReplyParser(assistant_id=ASSISTANT, tool_names=tools, begins_in_prose=not tools)
    logprobs = ContentLogprobs(FakeVocabulary(), assistant_id=ASSISTANT)
    reader = PartReader(stops, parser=parser, logprobs=logprobs)
    detokenizer, items = Detokenizer(), []
    end = GenerationFinished(FinishReason.STOP, num_completion_tokens=0, stop_token_id=EOS)
    for token_id in token_ids:
        data = piece(token_id)
        text = detokenizer.feed(data) if data else detokenizer.finish()
        items += reader.feed(TokenEvent(token_id, text, TokenLogprobs(-1.0)))
        if reader.stop_string is not None:
            end = GenerationFinished(FinishReason.STOP, num_completion_tokens=0)
            break
    *items, last = [*items, *reader.finish(end)]
    assert isinstance(last, ChatFinished)
    deltas = [part.delta for part in items]
    content = "".join(delta.text for delta in deltas if isinstance(delta, ProseDelta))
    calls = [delta.arguments for delta in deltas if isinstance(delta, ToolCallDelta)]
    found = [token for part in items if part.logprobs for token in part.logprobs.content]
    tokens = [bytes(token.bytes) for token in found]
    whole = list(merged(items))
    assert all(isinstance(part, Part) for part in whole)
    assert len(whole) <= max(1, 2 * len(calls) + 1)
    return content, calls, [b"".join(tokens).decode(errors="replace")], last


def cut(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    """What is seen of ``text``, by definition, and the stop string that it reaches first."""
    text = text.strip()
    for end in range(1, len(text) + 1):
        for stop in sorted(filter(None, stops), key=len, reverse=True):
            if text[:end].endswith(stop):
                return text[: end - len(stop)].rstrip(), stop
    return text, None


@pytest.mark.parametrize(
    "text",
    [
        "[[训练时间]]",
        "今年是[[训练时间]]",
        "[[训练时间]]。",
        "[[[[训练时间]]a",
        "[[训练时间]][[训练时间]]好",
    ],
)
def test_logprobs_tell_of_the_whole_year_mark(text: str) -> None:
    """The year that it stands for is shorter, and the reply's last tokens were missing."""
    for space in ("", " ", "\n\n"):
        content, _, tokens, _ = read(spell(text + space))
        assert content == text.replace("[[训练时间]]", "2023年")
        assert tokens == [text]
        content, _, tokens, _ = read(spell(f"好{text}{space}"), (text[:2], "2", "["))
        assert (content, tokens) == ("好", ["好"])


letters = st.text(st.sampled_from("ab \n好\u3000x演示🦊"), max_size=24)


@given(
    letters, st.lists(st.text(st.sampled_from("ab \n好演示"), min_size=1, max_size=3), max_size=3)
)
def test_stops_and_logprobs_go_by_what_is_seen(text: str, stop_list: list[str]) -> None:
    stops = tuple(stop_list)
    content, _, tokens, end = read(spell(text), stops)
    expected, stop = cut(text, stops)
    assert (content, end.stop_string is None) == (expected, stop is None)
    assert tokens == [content]


@given(letters, letters, st.sampled_from(["", "a", "\n", " ", "好", "b\n"]))
def test_parts_of_a_reply_are_one_text(first: str, second: str, stop: str) -> None:
    ids = [*spell("\n" + first), ASSISTANT, *spell("\n" + second)]
    content, _, _, _ = read(ids, (stop,), ("get_weather",))
    texts = [text.strip() for text in (first, second) if text.strip()]
    assert content == cut("\n".join(texts), (stop,))[0]


def complete(
    token_ids: list[int], *, context_size: int = 4096, **fields: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The choice that the reply ``token_ids`` is, which a stream adds up to as well, and usage."""
    backend = FakeBackend(lambda _prompt: token_ids, batch_size=512, context_size=context_size)
    engine = Engine(backend, use_drafts=False)
    service = ChatService(engine, FakeVocabulary(), model_id="fake")
    body = {"messages": [{"role": "user", "content": "你好"}], **fields}
    request = ChatRequest.model_validate(body)

    async def both() -> tuple[ChatReply, list[Any]]:
        job = service.prepare(request)
        return await service.complete(job), [chunk async for chunk in service.stream(job)]

    try:
        reply, chunks = run(engine, both)
    finally:
        engine.close()
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    choice = reply.choices[0].model_dump()
    assert "".join(delta.content or "" for delta in deltas) == (choice["message"]["content"] or "")
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert reasons[-1] == choice["finish_reason"]
    return choice, reply.usage.model_dump()


@pytest.mark.parametrize("stop", ["\n", " ", "\t", ["\n\n", "\n"], "n", "python", "```", "tool"])
@pytest.mark.parametrize("tools", [None, TOOLS])
def test_stops_do_not_see_what_is_hidden(stop: Any, tools: Any) -> None:
    metadata = " \n" if tools else ""
    reply = [*spell(metadata + " 你好！"), EOS]
    choice, _ = complete(reply, stop=stop, tools=tools)
    assert choice["message"]["content"] == "你好！"
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("stop", ["\n", " ", "python", "```", "tool_call", "get", "'", "北京", "3"])
@pytest.mark.parametrize("before", ["", "\n好的，让我查一下"])
def test_calls_are_whole_whatever_the_stop(stop: str, before: str) -> None:
    prose = [*spell(before), ASSISTANT] if before else []
    reply = [*prose, *spell(CALL), OBSERVATION]
    choice, _ = complete(reply, stop=stop, tools=TOOLS)
    (call,) = choice["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "北京", "n": 3}
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == (before.strip() or None)


@pytest.mark.parametrize("tools", [None, TOOLS])
@pytest.mark.parametrize("max_tokens", [1, 2, 3])
def test_the_limit_counts_what_is_seen(max_tokens: int, tools: Any) -> None:
    metadata = " \n" if tools else ""
    reply = [*spell(metadata + " Yes."), EOS]
    fields = {"tools": tools, "max_tokens": max_tokens, "logprobs": True, "top_logprobs": 5}
    choice, usage = complete(reply, **fields)
    assert choice["message"]["content"] == "Yes."[:max_tokens]
    assert choice["finish_reason"] == "length"
    tokens = choice["logprobs"]["content"]
    assert [token["token"] for token in tokens] == list("Yes."[:max_tokens])
    assert all(len(token["top_logprobs"]) == 5 for token in tokens)
    assert usage["completion_tokens"] == max_tokens + len(metadata + " ")  # all were computed


def test_hidden_tokens_never_exceed_the_context() -> None:
    reply = spell(" \n" + "x" * 700)
    left = 700 - complete(reply, tools=TOOLS, max_tokens=1)[1]["prompt_tokens"]
    choice, usage = complete(reply, context_size=700, tools=TOOLS, max_tokens=left)
    assert usage["total_tokens"] == 700
    assert (len(choice["message"]["content"]), choice["finish_reason"]) == (left - 2, "length")


def test_a_reply_of_white_space_ends() -> None:
    reply = spell("\n" * 4000)
    choice, usage = complete(reply, max_tokens=5)
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")
    assert usage["completion_tokens"] < 20


@pytest.mark.parametrize("name", ["g", "get", "get_weather", "查", "查天气"])
def test_half_a_name_is_no_content(name: str) -> None:
    reply = spell(name)
    choice, _ = complete(reply, tools=TOOLS, max_tokens=len(spell(name)))
    assert choice["finish_reason"] == "length"
    assert not choice["message"]["content"]
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize(
    ("fields", "is_asked_for_prose"),
    [
        ({}, True),
        ({"tools": TOOLS}, False),
        ({"tools": TOOLS, "tool_choice": "none"}, True),
        ({"tools": TOOLS, "tool_choice": "auto", "response_format": {"type": "text"}}, False),
        ({"tools": []}, True),
    ],
)
def test_the_prompt_has_the_metadata_line_where_no_tool_may_be_called(
    fields: dict[str, Any], is_asked_for_prose: bool
) -> None:
    service = ChatService(Engine(FakeBackend()), FakeVocabulary(), model_id="fake")
    body = {"messages": [{"role": "user", "content": "hi"}], **fields}
    request = ChatRequest.model_validate(body)
    prompt_ids = list(service.prepare(request).generations[0].prompt_ids)
    after_tag = spell("\n") if is_asked_for_prose else []
    assert prompt_ids[-1 - len(after_tag) :] == [ASSISTANT, *after_tag]
    assert service.count_prompt_tokens(request) == len(prompt_ids)


@pytest.mark.parametrize("seed", range(20))
def test_a_stop_that_never_comes_changes_nothing(seed: int) -> None:
    draw = random.Random(seed)
    text = "".join(draw.choice("ab好 \n演示。") for _ in range(40)).strip() or "好"
    reply = [*spell(text), EOS]
    without, _ = complete(reply, logprobs=True)
    with_stop, _ = complete(reply, logprobs=True, stop=["好演示好好演", "zzz"])
    assert with_stop == without
    assert bytes(b for t in without["logprobs"]["content"] for b in t["bytes"]).decode() == text


@pytest.mark.parametrize(
    ("num_bytes", "arguments"),
    [(14, ""), (24, ""), (38, '{"city": "'), (len(CALL.encode()) - 1, None)],
)
def test_a_call_that_is_cut_is_a_call(num_bytes: int, arguments: str | None) -> None:
    choice, _ = complete(spell(CALL), tools=TOOLS, max_tokens=num_bytes)
    assert choice["finish_reason"] == "length"
    assert not choice["message"]["content"]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    if arguments is None:
        assert json.loads(call["function"]["arguments"]) == {"city": "北京", "n": 3}
    else:
        assert call["function"]["arguments"] == arguments
