"""Choices, assembled from parts."""

import pytest

from glm3edge.chatglm3.parser import Delta, ProseDelta, ToolCallDelta
from glm3edge.core import FinishReason
from glm3edge.schema.chat import Choice, ChoiceLogprobs, TokenLogprob
from glm3edge.serving.chat.parts import ChatFinished, Part
from glm3edge.serving.chat.reply import make_choice


def finished(
    reason: FinishReason = FinishReason.STOP, *, has_calls: bool = False, stop: str | None = None
) -> ChatFinished:
    return ChatFinished(
        reason,
        num_completion_tokens=1,
        stop_string=stop,
        has_calls=has_calls,
        ends_in_prose=not has_calls,
    )


def choice(*deltas: Delta, end: ChatFinished | None = None) -> Choice:
    found, _ = make_choice(0, [*map(Part, deltas), end or finished()])
    return found


def test_prose_is_joined() -> None:
    end = finished(stop="!")
    found, last = make_choice(2, [Part(ProseDelta("你")), Part(ProseDelta("好")), end])
    assert last is end
    assert (found.index, found.message.content, found.stop_string) == (2, "你好", "!")
    assert found.message.tool_calls is None
    assert found.logprobs is None
    assert found.ends_in_prose


def test_an_empty_reply_has_empty_content() -> None:
    assert choice().message.content == ""


def test_calls_are_joined_from_their_pieces() -> None:
    found = choice(
        ProseDelta("查一下"),
        ToolCallDelta(0, "weather", ""),
        ToolCallDelta(0, None, '{"city": '),
        ToolCallDelta(0, None, '"北京"}'),
        ToolCallDelta(1, "weather", ""),
        ToolCallDelta(1, None, "{}"),
        ToolCallDelta(2, "time", ""),
        end=finished(has_calls=True),
    )
    calls = found.message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("weather", '{"city": "北京"}'),
        ("weather", "{}"),
        ("time", ""),
    ]
    assert len({call.id for call in calls}) == 3
    assert found.message.content == "查一下"
    assert not found.ends_in_prose


def test_a_call_alone_has_no_content() -> None:
    call = ToolCallDelta(0, "weather", "{}")
    assert choice(call, end=finished(has_calls=True)).message.content is None


def test_log_probabilities_are_joined() -> None:
    tokens = [TokenLogprob(token=text, logprob=-1, bytes=[], top_logprobs=[]) for text in "ab"]
    parts = [Part(ProseDelta(token.token), ChoiceLogprobs(content=[token])) for token in tokens]
    found, _ = make_choice(0, [*parts, finished()])
    assert found.logprobs == ChoiceLogprobs(content=tokens)


@pytest.mark.parametrize(
    ("reason", "has_calls", "expected"),
    [
        (FinishReason.STOP, False, "stop"),
        (FinishReason.STOP, True, "tool_calls"),
        (FinishReason.LENGTH, False, "length"),
        (FinishReason.LENGTH, True, "length"),
    ],
)
def test_finish_reasons(reason: FinishReason, has_calls: bool, expected: str) -> None:
    assert choice(end=finished(reason, has_calls=has_calls)).finish_reason == expected
