"""Which replies are constrained, with a guide that compiles nothing."""

from typing import Any, cast

import pytest
from pydantic import ValidationError

from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.errors import GrammarError, InvalidRequestError
from glm3edge.llama.guidance import Guide
from glm3edge.serving.chat import constraints
from glm3edge.serving.chat.constraints import GrammarBuilder, offered_tools
from tests.support.fakes import FakeVocabulary
from tests.support.services import chat_request


def tool(name: str, **fields: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {name: {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters, **fields}}


WEATHER, TIME = tool("weather"), tool("time")
CALL_WEATHER = {"type": "function", "function": {"name": "weather"}}
JSON, TEXT = {"type": "json_object"}, {"type": "text"}


class FakeGuide:
    """A guide that cannot compile grammars with ``refused`` in them."""

    def __init__(self, refused: str | None = None) -> None:
        self.refused = refused

    def matcher(self, grammar: str, begun_ids: tuple[int, ...] = ()) -> None:
        if self.refused is not None and self.refused in grammar:
            raise GrammarError("too hard")


def build(guide: FakeGuide | None, **fields: Any) -> str | None:
    builder = GrammarBuilder(SpecialTokens.of(FakeVocabulary()), cast("Guide | None", guide))
    asked = chat_request(**fields)
    return builder.build(asked, offered_tools(asked))


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"tools": [WEATHER, TIME]}, {"weather", "time", "PROSE"}),
        ({"tools": [WEATHER, TIME], "tool_choice": "required"}, {"weather", "time"}),
        ({"tools": [WEATHER, TIME], "tool_choice": CALL_WEATHER}, {"weather"}),
        ({"tools": [WEATHER], "response_format": TEXT}, {"weather", "PROSE"}),
        ({"tools": [WEATHER], "response_format": JSON}, {"weather", "%json"}),
        ({"tools": [WEATHER], "response_format": JSON, "tool_choice": "none"}, {"%json"}),
        ({"tools": [WEATHER], "response_format": JSON, "tool_choice": "required"}, {"weather"}),
        ({"tools": [WEATHER], "parallel_tool_calls": False}, {"weather", "PROSE"}),
        ({"tools": [{"type": "code_interpreter"}]}, {"interpreter", "PROSE"}),
        ({"response_format": JSON}, {"%json"}),
    ],
)
def test_what_a_reply_may_be(fields: dict[str, Any], parts: set[str]) -> None:
    grammar = build(FakeGuide(), **fields)
    assert grammar is not None
    assert {
        part for part in ("weather", "time", "interpreter", "PROSE", "%json") if part in grammar
    } == parts


@pytest.mark.parametrize("fields", [{}, {"tools": [WEATHER], "tool_choice": "none"}])
def test_replies_that_may_be_anything(fields: dict[str, Any]) -> None:
    assert build(FakeGuide(), **fields) is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [WEATHER, TIME]}, "tools"),
        ({"tools": [WEATHER], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "response_format": JSON}, "response_format"),
    ],
)
def test_what_cannot_be_constrained_at_all_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be followed: too hard") as caught:
        build(FakeGuide(refused="weather"), **fields)
    assert caught.value.param == param


def test_grammars_have_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for what cannot be enforced compiles a grammar for each keyword."""
    monkeypatch.setattr(constraints, "MAX_COMPILE_SECONDS", -1)
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"pattern": "a"}}}
    with pytest.raises(InvalidRequestError, match="to compile: use less of pattern") as caught:
        build(FakeGuide("pattern"), response_format=form)
    assert caught.value.param == "response_format"


def test_only_allowed_tools_are_offered() -> None:
    allowed = {"mode": "auto", "tools": [CALL_WEATHER]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    asked = chat_request(tools=[TIME, WEATHER], tool_choice=choice)
    assert [one.function.name for one in offered_tools(asked)] == ["weather"]
    with pytest.raises(InvalidRequestError, match="tools has no tool 'weather'"):
        offered_tools(chat_request(tools=[TIME], tool_choice=choice))


@pytest.mark.parametrize(
    "name", [" a", "a ", " ", "\ta", "a\u3000", "a\x85", "\x1fa", "a\x0b", "a\n"]
)
def test_names_with_white_space_around_them_are_refused(name: str) -> None:
    """Their calls were prose: a reply's line is read without it."""
    with pytest.raises(ValidationError, match=r"function\.name"):
        chat_request(tools=[tool(name)])


@pytest.mark.parametrize(
    "name", ["a", "查", "a b", "查 天气", "a\u200b", "\u200ba", "a\x1fb", "a/b.*"]
)
def test_other_names_are_taken(name: str) -> None:
    assert chat_request(tools=[tool(name)]).tools
