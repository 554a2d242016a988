"""Calls and results in the old form: matched by name."""

from typing import Any

import pytest

from glm3edge.chatglm3.prompt import Role, Turn, build_turns
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.legacy import BodyMessage
from glm3edge.serving.legacy.history import chat_messages

ASK = {"role": "user", "content": "北京天气"}
CALL = {"name": "查天气", "arguments": '{"城市": "北京"}'}
RESULT = {"role": "function", "name": "查天气", "content": "晴，22 度"}
RAW = "查天气\n ```python\ntool_call(城市='北京')\n```"
ASKED = Turn(Role.USER, "北京天气")
CALLED = Turn(Role.ASSISTANT, "```python\ntool_call(城市='北京')\n```", metadata="查天气")
TOLD = Turn(Role.OBSERVATION, "晴，22 度")


def said(text: str) -> Turn:
    return Turn(Role.ASSISTANT, text)


def turns(*messages: dict[str, Any]) -> list[Turn]:
    found = chat_messages([BodyMessage.model_validate(message) for message in messages])
    assert len(found) == len(messages)
    return build_turns(found)


def assistant(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", **fields}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        # OpenAI's form
        ([assistant(content=None, function_call=CALL), RESULT], [CALLED, TOLD]),
        ([assistant(content="查一下", function_call=CALL), RESULT], [said("查一下"), CALLED, TOLD]),
        ([assistant(function_call=CALL)], [CALLED]),
        (
            [assistant(function_call=CALL | {"arguments": '{"城市": "北'}), RESULT],
            [Turn(CALLED.role, '```python\ntool_call({"城市": "北)\n```', "查天气"), TOLD],
        ),
        # the official server's: the content has the call as the model wrote it
        ([assistant(content=RAW, function_call=CALL), RESULT], [CALLED, TOLD]),
        (
            [assistant(content=f"查一下<|assistant|>{RAW}", function_call=CALL), RESULT],
            [said("查一下"), CALLED, TOLD],
        ),
        # ... and its streaming client's: nothing but the content
        ([assistant(content=RAW), RESULT], [CALLED, TOLD]),
        ([assistant(content=f"查一下<|assistant|>{RAW}"), RESULT], [said("查一下"), CALLED, TOLD]),
        ([assistant(content="查一下"), RESULT], [said("查一下"), TOLD]),
        ([assistant(content=""), RESULT], [said(""), TOLD]),
        # text that is no call of this function stays text
        ([assistant(content=RAW), RESULT | {"name": "报时"}], [said(RAW), TOLD]),
        ([assistant(content="查天气\n没有"), RESULT], [said("查天气\n没有"), TOLD]),
        ([assistant(content=RAW), ASK], [said(RAW), ASKED]),
        # several rounds, and several results
        (
            [assistant(function_call=CALL), RESULT, assistant(function_call=CALL), RESULT],
            [CALLED, TOLD, CALLED, TOLD],
        ),
        ([assistant(function_call=CALL), RESULT, RESULT], [CALLED, TOLD, TOLD]),
        (
            [assistant(function_call=CALL), RESULT | {"content": None}],
            [CALLED, Turn(TOLD.role, "")],
        ),
    ],
)
def test_what_the_model_reads(messages: list[dict[str, Any]], expected: list[Turn]) -> None:
    assert turns(ASK, *messages) == [ASKED, *expected]


@pytest.mark.parametrize(
    ("messages", "param", "words"),
    [
        ([RESULT], "messages[1]", "no assistant message"),
        ([assistant(content="好"), ASK, RESULT], "messages[3]", "calls '查天气'"),
        (
            [assistant(function_call=CALL), RESULT | {"name": "报时"}],
            "messages[2].name",
            "is of '查天气'",
        ),
        (
            [assistant(function_call=CALL), {"role": "function", "content": "x"}],
            "messages[2].name",
            "needs its function's name",
        ),
    ],
)
def test_what_belongs_to_nothing_is_refused(
    messages: list[dict[str, Any]], param: str, words: str
) -> None:
    with pytest.raises(InvalidRequestError, match=words.replace("[", r"\[")) as caught:
        turns(ASK, *messages)
    assert caught.value.param == param


def test_todays_calls_stay_as_they_are() -> None:
    call = {"id": "c1", "type": "function", "function": CALL}
    result = {"role": "tool", "tool_call_id": "c1", "content": "晴，22 度"}
    assert turns(ASK, assistant(tool_calls=[call]), result) == [ASKED, CALLED, TOLD]
