"""Which replies are constrained, with a guide that compiles nothing."""

import logging
from typing import Any, cast

import pytest

from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.core import Mask
from glm3edge.errors import GrammarError, InvalidRequestError
from glm3edge.llama.guidance import Guide
from glm3edge.serving.chat.constraints import (
    ConstraintBuilder,
    Constraints,
    may_call,
    offered_tools,
)
from tests.support.fakes import FakeVocabulary
from tests.support.services import chat_request


def tool(name: str, **fields: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {name: {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters, **fields}}


WEATHER, TIME = tool("weather"), tool("time")
CALL_WEATHER = {"type": "function", "function": {"name": "weather"}}
JSON = {"type": "json_object"}


class FakeMatcher:
    """A matcher that remembers its grammar."""

    is_complete = False

    def __init__(self, grammar: str) -> None:
        self.grammar = grammar

    def copy(self) -> "FakeMatcher":
        return FakeMatcher(self.grammar)

    def allowed(self) -> Mask:
        raise NotImplementedError

    def accept(self, token_id: int) -> None:
        raise NotImplementedError


class FakeGuide:
    """A guide that cannot compile grammars with ``refused`` in them."""

    def __init__(self, refused: str | None = None) -> None:
        self.refused = refused
        self.grammars: list[str] = []

    def matcher(self, grammar: str) -> FakeMatcher:
        if self.refused is not None and self.refused in grammar:
            raise GrammarError("too hard")
        self.grammars.append(grammar)
        return FakeMatcher(grammar)


def build(guide: FakeGuide | None, **fields: Any) -> Constraints:
    vocabulary = FakeVocabulary()
    builder = ConstraintBuilder(
        vocabulary, SpecialTokens.of(vocabulary), cast("Guide | None", guide)
    )
    asked = chat_request(**fields)
    return builder.build(asked, offered_tools(asked))


@pytest.mark.parametrize(
    ("fields", "tool_names", "num_grammars"),
    [
        ({}, set(), 0),
        ({"tools": [WEATHER, TIME]}, {"weather", "time"}, 2),
        ({"tools": [WEATHER, TIME], "tool_choice": "none"}, set(), 0),
        ({"tools": [WEATHER, TIME], "tool_choice": "required"}, {"weather", "time"}, 3),
        ({"tools": [WEATHER, TIME], "tool_choice": CALL_WEATHER}, {"weather", "time"}, 3),
        ({"tools": [WEATHER], "response_format": JSON}, set(), 1),
        ({"tools": [{"type": "code_interpreter"}]}, set(), 0),
    ],
)
def test_which_calls_are_constrained(
    fields: dict[str, Any], tool_names: set[str], num_grammars: int
) -> None:
    guide = FakeGuide()
    constraints = build(guide, **fields)
    assert constraints.tool_names == tool_names
    assert len(guide.grammars) == num_grammars
    assert (constraints.make_constraint is None) == (num_grammars == 0)


def test_each_reply_has_a_constraint_of_its_own() -> None:
    make = build(FakeGuide(), response_format=JSON).make_constraint
    assert make is not None
    assert make() is not make()


def test_calls_that_cannot_be_constrained_are_free(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        constraints = build(FakeGuide(refused="weather"), tools=[WEATHER, TIME])
    assert constraints.tool_names == {"time"}
    assert "calls of weather are unconstrained" in caplog.text


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [tool("weather", strict=True), TIME]}, "tools"),
        ({"tools": [WEATHER], "tool_choice": "required"}, "tool_choice"),
    ],
)
def test_what_has_to_be_constrained_and_cannot_be_is_refused(
    fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be followed: too hard") as caught:
        build(FakeGuide(refused="weather"), **fields)
    assert caught.value.param == param


def test_only_allowed_tools_are_offered() -> None:
    allowed = {"mode": "auto", "tools": [CALL_WEATHER]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    asked = chat_request(tools=[TIME, WEATHER], tool_choice=choice)
    assert [one.function.name for one in offered_tools(asked)] == ["weather"]
    with pytest.raises(InvalidRequestError, match="there is no tool 'weather'"):
        offered_tools(chat_request(tools=[TIME], tool_choice=choice))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"tools": [WEATHER]}, True),
        ({"tools": [WEATHER], "response_format": {"type": "text"}}, True),
        ({"tools": [WEATHER], "response_format": JSON}, False),
        ({"tools": [WEATHER], "response_format": JSON, "tool_choice": "required"}, True),
    ],
)
def test_json_replies_have_no_calls(fields: dict[str, Any], expected: bool) -> None:
    asked = chat_request(**fields)
    assert may_call(asked, offered_tools(asked)) is expected
