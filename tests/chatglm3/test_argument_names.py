"""Parameters of any name are bound, written, read back and streamed; schemas have their price."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glm3edge.chatglm3.call_stream import CallArgumentStream
from glm3edge.chatglm3.tools import call_text, parse_call
from glm3edge.errors import InvalidRequestError
from glm3edge.llama.guidance import Guide
from glm3edge.llama.model import Model
from glm3edge.schema.chat import Tool
from tests.support.calls import accepts_call, call_grammar, json_grammar

pytestmark = pytest.mark.slow

NAMES = {  # how a call spells the argument
    "city": "city=1",
    "城市": "城市=1",
    "出発地": "出発地=1",
    "größe": "größe=1",
    "名·字": "名·字=1",
    "from": "from=1",
    "None": "None=1",
    "lambda": "lambda=1",
    "match": "match=1",
    "file-path": "**{'file-path': 1}",
    "-A": "**{'-A': 1}",
    "a b": "**{'a b': 1}",
    "$ref": "**{'$ref': 1}",
    "1st": "**{'1st': 1}",
    "": "**{'': 1}",
    "it's": '**{"it\'s": 1}',
    'say "hi"': "**{'say \"hi\"': 1}",
    "back\\slash": "**{'back\\\\slash': 1}",
    "a\nb": "**{'a\\nb': 1}",
    "ﬁle": "**{'ﬁle': 1}",  # Python would read file
    "from__keyword": "**{'from__keyword': 1}",
    "})": "**{'})': 1}",
    "🦊": "**{'🦊': 1}",
}


def tool(parameters: dict[str, Any]) -> Tool:
    return Tool.model_validate(
        {"type": "function", "function": {"name": "f", "parameters": parameters}}
    )


def object_of(names: list[str], *, required: bool = True) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in names},
        "required": names if required else [],
        "additionalProperties": False,
    }


def in_pieces(text: str, size: int) -> str:
    pieces = CallArgumentStream()
    made = [pieces.feed(text[start : start + size]) for start in range(0, len(text), size)]
    assert pieces.is_complete
    return "".join(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_of_any_name_is_bound(guide: Guide, tiny_model: Model, name: str) -> None:
    wanted = tool(object_of([name]))
    text = f"```python\ntool_call({NAMES[name]})\n```"
    assert accepts_call(guide, tiny_model, wanted, text)
    for wrong in ("", NAMES[name].replace("1", "'x'"), f"{NAMES[name]}, other=1"):
        assert not accepts_call(guide, tiny_model, wanted, f"```python\ntool_call({wrong})\n```")
    assert json.loads(parse_call("f", text)) == {name: 1}
    assert call_text("f", json.dumps({name: 1})) == text
    assert all(json.loads(in_pieces(text, size)) == {name: 1} for size in range(1, 12))


@pytest.mark.parametrize("required", [True, False])
def test_parameters_keep_their_order(guide: Guide, tiny_model: Model, required: bool) -> None:
    wanted = tool(object_of(list(NAMES), required=required))
    text = call_text("f", json.dumps(dict.fromkeys(NAMES, 1)))
    assert accepts_call(guide, tiny_model, wanted, text)
    assert list(json.loads(parse_call("f", text))) == list(NAMES)
    assert list(json.loads(in_pieces(text, 3))) == list(NAMES)
    some = call_text("f", json.dumps(dict.fromkeys(list(NAMES)[3:9], 1)))
    assert accepts_call(guide, tiny_model, wanted, some) == (not required)
    nothing = "```python\ntool_call()\n```"
    assert accepts_call(guide, tiny_model, wanted, nothing) == (not required)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), values, max_size=5), st.integers(1, 9))
def test_any_arguments_are_written_and_read_back(arguments: dict[str, Any], size: int) -> None:
    text = call_text("f", json.dumps(arguments))
    assert json.loads(parse_call("f", text)) == arguments
    assert list(json.loads(parse_call("f", text))) == list(arguments)
    assert json.loads(in_pieces(text, size)) == arguments


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=6, unique=True), st.randoms())
def test_any_names_are_bound_in_their_order(
    guide: Guide, tiny_model: Model, names: list[str], draw: Any
) -> None:
    required = [name for name in names if draw.random() < 0.5]
    schema = object_of(names) | {"required": required}
    given_names = [name for name in names if name in required or draw.random() < 0.5]
    wanted = tool(schema)
    text = call_text("f", json.dumps(dict.fromkeys(given_names, 7)))
    assert accepts_call(guide, tiny_model, wanted, text)
    jsonschema.validate(json.loads(parse_call("f", text)), schema)
    if required:
        less = call_text("f", json.dumps(dict.fromkeys(set(given_names) - set(required[:1]), 7)))
        assert not accepts_call(guide, tiny_model, wanted, less)


def nested(kinds: list[Any], depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": kinds, "items": schema, "minItems": 1}
    return {"type": "object", "properties": {"x": schema}, "required": ["x"]}


@pytest.mark.parametrize(
    "kinds",
    [
        ["array"] * 3,
        ["array", "null"] * 20,
        ["array", "array", "no such type"],
        ["array", ["array"], {"type": "array"}, None, 3],
    ],
)
@pytest.mark.parametrize("depth", [12, 15])
def test_a_type_counts_once_however_often_it_is_listed(
    guide: Guide, tiny_model: Model, kinds: list[Any], depth: int
) -> None:
    wanted = tool(nested(kinds, depth))
    assert len(call_grammar(wanted)) < 10_000
    value = "[" * depth + "1" + "]" * depth
    assert accepts_call(guide, tiny_model, wanted, f"```python\ntool_call(x={value})\n```")
    assert not accepts_call(
        guide, tiny_model, wanted, f"```python\ntool_call(x={value[1:-1]})\n```"
    )


@pytest.mark.parametrize("kinds", [["no such type"], [], [None], [[]]])
def test_types_that_are_none_bind_nothing(
    guide: Guide, tiny_model: Model, kinds: list[Any]
) -> None:
    wanted = tool(nested(kinds, 1))
    assert accepts_call(guide, tiny_model, wanted, '```python\ntool_call(x={"a": 1})\n```')


@pytest.mark.parametrize(("num_names", "required"), [(5000, True), (500, False)])
def test_thousands_of_parameters_do_not_end_the_process(
    guide: Guide, tiny_model: Model, num_names: int, required: bool
) -> None:
    """llguidance's stack overflowed where each was a rule that led to the next."""
    names = [f"p{number}" for number in range(num_names)]
    wanted = tool(object_of(names, required=required))
    assert accepts_call(
        guide, tiny_model, wanted, call_text("f", json.dumps(dict.fromkeys(names, 1)))
    )
    one = "```python\ntool_call(p432=1)\n```"
    assert accepts_call(guide, tiny_model, wanted, one) == (not required)


@pytest.mark.parametrize("num_names", [2001, 5000])
def test_too_many_optional_properties_are_refused(num_names: int) -> None:
    schema = {"type": "object", "properties": {f"p{number}": {} for number in range(num_names)}}
    for wanted in (schema, {"type": "object", "properties": {"x": schema}, "required": ["x"]}):
        with pytest.raises(InvalidRequestError, match=f"tools has an object of {num_names} prop"):
            call_grammar(tool(wanted))
        with pytest.raises(
            InvalidRequestError, match=f"response_format has an object of {num_names}"
        ):
            json_grammar(wanted)


ZONES = [f"{area}/城{number}" for area in ("Asia", "Europe") for number in range(400)]
HALVES = [{f"{half}{number}": {"type": "integer"} for number in range(400)} for half in "ab"]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"enum": ZONES}, "Europe/城399"),
        ({"anyOf": [{"const": zone} for zone in ZONES]}, "Asia/城0"),
        ({"anyOf": [{"type": "object", "properties": half} for half in HALVES]}, {"b399": 1}),
        ({"type": "object", "properties": {f"p{n}": {} for n in range(2000)}}, {"p1999": 1}),
        ({"type": "array", "items": {"enum": ZONES}}, ZONES[::200]),
        ({"oneOf": [{"type": "string", "pattern": f"^a{n}b$"} for n in range(700)]}, "a699b"),
    ],
    ids=["enum", "constants", "objects", "properties", "items", "patterns"],
)
def test_hundreds_of_choices_at_one_place_can_be_followed(
    guide: Guide, tiny_model: Model, schema: dict[str, Any], value: Any
) -> None:
    """llguidance gave up in mid-reply, and the request ended with 500."""
    parameters = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    call = call_text("f", json.dumps({"x": value}))
    if isinstance(value, str):  # what has a pattern is in JSON's quotes
        call = call.replace("'", '"')
    assert accepts_call(guide, tiny_model, tool(parameters), call)


def referring(**definitions: Any) -> dict[str, Any]:
    """A schema whose only argument is ``a`` of ``definitions``."""
    return object_of(["x"]) | {"properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": definitions}


@pytest.mark.parametrize(
    "schema",
    [
        referring(a={"$ref": "#/$defs/a"}),
        referring(a={"$ref": "#/$defs/b"}, b={"oneOf": [{"$ref": "#/$defs/a"}]}),
        referring(a={"anyOf": [{"$ref": "#//$defs/a"}, {"$ref": "#/$defs//a"}]}),
        referring(a={"type": "array", "items": {"$ref": "#/$defs/城"}}, 城={"$ref": "#/$defs/城"}),
        object_of(["x"]) | {"properties": {"x": {"$ref": "#/properties/x"}}},
    ],
)
def test_references_that_lead_nowhere_else(
    guide: Guide, tiny_model: Model, schema: dict[str, Any]
) -> None:
    """The model was constrained to a grammar without texts, and the request ended with 500."""
    with pytest.raises(InvalidRequestError, match="leads back to itself") as caught:
        call_grammar(tool(schema), must_call=True)
    assert caught.value.param == "tools"
    with pytest.raises(InvalidRequestError, match="leads back to itself") as caught:
        json_grammar(schema)
    assert caught.value.param == "response_format"
    call = call_text("f", json.dumps({"x": [7]}))  # where nothing has to be enforced, it may come
    assert accepts_call(guide, tiny_model, tool(schema), call)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (referring(a={"type": "array", "items": {"$ref": "#/$defs/a"}}), [[], [[]]]),
        (referring(a={"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}), None),
        (referring(a={"oneOf": [{"type": "integer"}, {"$ref": "#/$defs/a"}]}), 7),
        (referring(a={"anyOf": [{"type": "null"}, {"$ref": "#/$defs/b"}]}, b=object_of([])), None),
        (
            referring(a={"type": "object", "properties": {"左": {"$ref": "#/$defs/a"}}}),
            {"左": {"左": {}}},
        ),
    ],
)
def test_schemas_may_hold_themselves(
    guide: Guide, tiny_model: Model, schema: dict[str, Any], value: Any
) -> None:
    call = call_text("f", json.dumps({"x": value}))
    assert accepts_call(guide, tiny_model, tool(schema), call)


MANY = {f"p{number}": {"type": "string"} for number in range(3000)}


@pytest.mark.parametrize(
    "schema",
    [
        object_of([f"p{number}" for number in range(20_000)]),
        {  # the same place under five hundred names
            "type": "object",
            "$defs": {"a": {"type": "object", "properties": MANY, "required": list(MANY)}},
            "properties": {
                f"q{number}": {"$ref": "#" + "/" * (number + 1) + "$defs/a"}
                for number in range(500)
            },
        },
        {"type": "object", "properties": {"x": {"enum": [f"{n}" * 40 for n in range(9000)]}}},
    ],
    ids=["parameters", "references", "options"],
)
def test_schemas_that_make_endless_grammars_are_refused(schema: dict[str, Any]) -> None:
    for must_call in (True, False):
        with pytest.raises(InvalidRequestError, match="over 1048576 characters") as caught:
            call_grammar(tool(schema), must_call=must_call)
        assert caught.value.param == "tools"


def test_a_schema_of_a_reply_has_its_limit_too() -> None:
    with pytest.raises(InvalidRequestError, match="response_format has a schema of over 131072"):
        json_grammar(object_of([f"p{number}" for number in range(5000)]))
    assert json_grammar(object_of([f"p{number}" for number in range(1000)]))
