from typing import Any

import pytest

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import ChatRequest, NamedToolChoice
from glm3edge.schema.legacy import ChatBody
from glm3edge.serving.legacy.request import Form, chat_request

HELLO = [{"role": "user", "content": "你好"}]
SCHEMA = {"type": "object", "properties": {"城市": {"type": "string"}}, "required": ["城市"]}
WEATHER = {"name": "查天气", "description": "某地的天气", "parameters": SCHEMA}
OFFICIAL = {
    "random_number_generator": {
        "name": "random_number_generator",
        "description": "Generates a random number x, s.t. range[0] <= x < range[1]",
        "params": [
            {"name": "seed", "description": "种子", "type": "int", "required": True},
            {"name": "range", "description": "", "type": "tuple[int, int]", "required": True},
            {"name": "note", "type": "Optional[str]", "required": False},
            {"name": "other", "type": "numpy.ndarray"},
        ],
    },
    "get_time": {"description": None},
}


def body(**fields: Any) -> ChatBody:
    return ChatBody.model_validate({"messages": HELLO, **fields})


def request(**fields: Any) -> ChatRequest:
    return chat_request(body(**fields))


def test_functions_are_tools() -> None:
    found = request(functions=[WEATHER], function_call="auto", temperature=0.5, stop=["停"])
    assert [tool.model_dump(exclude_none=True) for tool in found.tools or []] == [
        {"type": "function", "function": WEATHER}
    ]
    assert (found.tool_choice, found.parallel_tool_calls) == ("auto", False)
    assert (found.temperature, found.stop) == (0.5, ["停"])


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"function_call": "none"}, "none"),
        ({"function_call": "auto"}, "auto"),
        ({"tool_choice": "required"}, "required"),
    ],
)
def test_function_call_is_tool_choice(fields: dict[str, Any], choice: str | None) -> None:
    assert request(functions=[WEATHER], **fields).tool_choice == choice


def test_a_named_function() -> None:
    choice = request(functions=[WEATHER], function_call={"name": "查天气"}).tool_choice
    assert isinstance(choice, NamedToolChoice)
    assert choice.function.name == "查天气"


@pytest.mark.parametrize("field", ["tools", "functions"])
def test_official_tools(field: str) -> None:
    first, second = request(**{field: OFFICIAL}).tools or []
    assert first.function.model_dump(exclude_none=True) == {
        "name": "random_number_generator",
        "description": "Generates a random number x, s.t. range[0] <= x < range[1]",
        "parameters": {
            "type": "object",
            "properties": {
                "seed": {"description": "种子", "type": "integer"},
                "range": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "minItems": 2,
                    "maxItems": 2,
                },
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "other": {},
            },
            "required": ["seed", "range"],
        },
    }
    assert second.function.name == "get_time"
    assert second.function.parameters == {"type": "object", "properties": {}, "required": []}


@pytest.mark.parametrize("field", ["tools", "functions"])
def test_an_object_of_functions_with_schemas(field: str) -> None:
    (tool,) = request(**{field: {"查天气": WEATHER}}).tools or []
    assert tool.function.model_dump(exclude_none=True) == WEATHER


def test_a_named_function_of_an_object() -> None:
    choice = request(functions=OFFICIAL, function_call={"name": "get_time"}).tool_choice
    assert isinstance(choice, NamedToolChoice)
    assert choice.function.name == "get_time"


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({}, Form.TOOLS),
        ({"tools": [{"type": "function", "function": WEATHER}]}, Form.TOOLS),
        ({"functions": []}, Form.TOOLS),
        ({"functions": [WEATHER]}, Form.FUNCTIONS),
        ({"tools": OFFICIAL}, Form.OFFICIAL),
        ({"functions": OFFICIAL}, Form.OFFICIAL),
        ({"functions": OFFICIAL, "tools": []}, Form.OFFICIAL),
        ({"functions": {}, "tools": OFFICIAL}, Form.OFFICIAL),
        ({"functions": {}}, Form.TOOLS),
    ],
)
def test_forms(fields: dict[str, Any], form: Form) -> None:
    assert Form.of(body(**fields)) is form
    assert request(**fields).parallel_tool_calls is (None if form is Form.TOOLS else False)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"functions": [WEATHER], "tools": OFFICIAL}, "functions"),
        ({"functions": OFFICIAL, "tools": OFFICIAL}, "functions"),
        ({"functions": [WEATHER], "function_call": {"name": "报时"}}, "function_call"),
        ({"function_call": {"name": "查天气"}}, "function_call"),
    ],
)
def test_what_does_not_go_together(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        request(**fields)
    assert caught.value.param == param


def test_nothing_is_lost_of_a_request_in_todays_form() -> None:
    fields = {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "简短"}]},
            *HELLO,
        ],
        "tools": [{"type": "function", "function": WEATHER}],
        "tool_choice": {"type": "function", "function": {"name": "查天气"}},
        "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        "metadata": {"a": "b"},
        "top_k": 3,
    }
    assert chat_request(ChatBody.model_validate(fields)) == ChatRequest.model_validate(fields)
