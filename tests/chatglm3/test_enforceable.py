"""Schemas without what cannot be enforced: the rest is held, and requests never fail."""

import json
from typing import Any

import pytest

from glm3edge.chatglm3.tools import call_text
from glm3edge.errors import InvalidRequestError
from glm3edge.llama.guidance import Guide
from glm3edge.llama.model import Model
from tests.support.calls import accepts, call_grammar, json_grammar, tool_with

A_NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

ABOVE_FIVE = {"type": "integer", "minimum": 5, "exclusiveMinimum": True}


def object_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def check(
    guide: Guide, model: Model, schema: dict[str, Any], value: dict[str, Any], *, fits: bool
) -> None:
    """Check whether ``value`` fits ``schema`` as far as it is enforced, as JSON and as a call."""
    text = json.dumps(value, ensure_ascii=False)
    assert accepts(guide, model, json_grammar(schema, guide, is_strict=False), text) == fits
    grammar = call_grammar(tool_with(schema), guide=guide)
    codes = call_text("find", text), f"```python\ntool_call(**{text})\n```"
    assert any(accepts(guide, model, grammar, f"find\n{code}") for code in codes) == fits


MALFORMED: dict[str, list[Any]] = {
    "$ref": [5, ["#"], {}],
    "type": [5, {}, [], [{}], "any"],
    "properties": [[], "n", [1], [{}]],
    "patternProperties": [[], "n"],
    "additionalProperties": ["no", [1]],
    "required": [True, "n", {"n": 1}],
    "items": ["string", 5],
    "prefixItems": [{}, True],
    "allOf": [{}, True, "object", 1.5],
    "anyOf": [{"type": "string"}, False, 3],
    "oneOf": ["string", {}],
    "enum": ["a", {"a": 1}, 3],
    "format": [{}, ["date"]],
    "pattern": [5, {}],
    "minItems": ["1", True, -1, 10**30, 1.5],
    "maxLength": [[], "many"],
    "minimum": ["0", [], True],
    "exclusiveMinimum": ["0", {}],
    "multipleOf": ["2", 0],
    "propertyNames": [[], {"pattern": 5}, {"enum": "a"}, {"enum": [{}]}],
    "unevaluatedProperties": ["x"],
}


@pytest.mark.parametrize(
    ("keyword", "value"), [(key, value) for key, values in MALFORMED.items() for value in values]
)
def test_malformed_keywords_are_left_out(
    guide: Guide, tiny_model: Model, keyword: str, value: object
) -> None:
    schema = A_NUMBER | {"properties": {"n": {"type": "integer"}, "x": {keyword: value}}}
    check(guide, tiny_model, schema, {"n": 3}, fits=True)
    check(guide, tiny_model, schema, {"n": "3"}, fits=False)
    top = {keyword: value, "allOf": [A_NUMBER]}  # here, too, whatever comes of it
    for grammar in (
        json_grammar(top, guide, is_strict=False),
        call_grammar(tool_with(top), guide=guide),
    ):
        assert guide.matcher(grammar)


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        # what is left must not forbid what was allowed
        (
            {
                "patternProperties": {"^(?!x)": {"type": "string"}},
                "additionalProperties": False,
            },
            {"a": "b"},
            None,
        ),
        (
            {
                "propertyNames": {"pattern": "^(?!x)"},
                "additionalProperties": {"type": "string"},
            },
            {"a": "b"},
            {"a": 1},
        ),
        ({"properties": [], "additionalProperties": False}, {"a": 1}, None),
        (
            {
                "properties": {
                    "x": {"multipleOf": 0},
                    "s": {"type": "string", "minLength": 10**30},
                },
                "minProperties": 1,
                "maxProperties": 2,
            },
            {"x": 3},
            {"y": 3},
        ),
        # nor allow what nothing may be
        ({"additionalProperties": {"not": {}}}, {}, {"a": 1}),
        (object_of(x={"type": "array", "items": {"not": {}}}), {"x": []}, {"x": [1]}),
        # names and values
        (
            {
                "patternProperties": {"^a": {"type": "integer"}},
                "propertyNames": {"pattern": "^[a-z]+$"},
                "additionalProperties": False,
            },
            {"a": 1},
            {"a": "b"},
        ),
        (
            {"propertyNames": {"enum": ["a", "b"]}, "unevaluatedProperties": {"type": "integer"}},
            {"a": 1},
            {"a": "b"},
        ),
        # booleans of draft 4
        (
            object_of(x=ABOVE_FIVE),
            {"x": 6},
            {"x": 5},
        ),
        (
            object_of(x={"type": "integer", "minimum": 5, "exclusiveMinimum": False}),
            {"x": 5},
            {"x": 4},
        ),
    ],
)
def test_the_rest_is_held(
    guide: Guide,
    tiny_model: Model,
    schema: dict[str, Any],
    right: dict[str, Any],
    wrong: dict[str, Any] | None,
) -> None:
    schema = {"type": "object"} | schema
    check(guide, tiny_model, schema, right, fits=True)
    if wrong is not None:
        check(guide, tiny_model, schema, wrong, fits=False)


@pytest.mark.parametrize(
    "schema",
    [
        object_of(x=ABOVE_FIVE),
        object_of(x={"type": "array", "items": {"not": {}}}),
        {
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/one"}},
            "$defs": {"one": {"anyOf": [{"type": "integer"}, {"not": {"type": "null"}}]}},
        },
    ],
)
def test_strict_schemas_that_can_be_held(guide: Guide, schema: dict[str, Any]) -> None:
    assert guide.matcher(json_grammar(schema, guide))
    assert guide.matcher(call_grammar(tool_with(schema), guide=guide, must_call=True))


def test_a_malformed_keyword_is_named(guide: Guide) -> None:
    tool = tool_with(object_of(x={"enum": "a"}))
    with pytest.raises(InvalidRequestError, match=r"enum \(it has a value of a wrong type\)"):
        call_grammar(tool, guide=guide, must_call=True)


def chained(length: int, *, is_option: bool) -> dict[str, Any]:
    """A schema whose definitions lead to each other, and in the end to ``A_NUMBER``."""
    refs = [{"$ref": f"#/$defs/d{number + 1}"} for number in range(length)]
    links = [{"anyOf": [ref, {"type": "null"}]} if is_option else ref for ref in refs]
    definitions = {f"d{number}": link for number, link in enumerate([*links, A_NUMBER])}
    return object_of(x={"$ref": "#/$defs/d0"}) | {"$defs": definitions}


def nested(depth: int) -> dict[str, Any]:
    """A schema of options within options."""
    options: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        options = {"anyOf": [options, {"type": "null"}]}
    return object_of(x=options)


@pytest.mark.parametrize(
    ("schema", "right"),
    [
        (chained(1000, is_option=False), {"x": {"n": 1}}),
        (chained(1000, is_option=True), {"x": None}),
        (nested(30), {"x": 1}),
        (nested(90), {"x": None}),
    ],
)
def test_long_ways_to_a_value(
    guide: Guide, tiny_model: Model, schema: dict[str, Any], right: dict[str, Any]
) -> None:
    check(guide, tiny_model, schema, right, fits=True)


ITSELF = {"$ref": "#/$defs/node"}
ENDLESS: dict[str, Any] = {
    "a property": object_of(next=ITSELF),
    "an item": object_of(items={"type": "array", "items": ITSELF, "minItems": 1}),
    "an item of a tuple": object_of(
        items={"type": "array", "prefixItems": [{}, ITSELF], "minItems": 2}
    ),
    "a part": {"allOf": [A_NUMBER, object_of(next=ITSELF)]},
    "all options": {"anyOf": [object_of(left=ITSELF), object_of(right=ITSELF)]},
    "another": object_of(other={"$ref": "#/$defs/other"}),
}
ENDING: dict[str, Any] = {
    "an optional property": A_NUMBER | {"properties": {"n": {"type": "integer"}, "next": ITSELF}},
    "no items": object_of(n={"type": "integer"}, items={"type": "array", "items": ITSELF}),
    "an item behind those needed": object_of(
        n={"type": "integer"},
        items={"type": "array", "prefixItems": [{}, ITSELF], "items": ITSELF, "minItems": 1},
    ),
    "an option": object_of(n={"type": "integer"}, next={"anyOf": [ITSELF, {"type": "null"}]}),
}


def recursive(node: dict[str, Any]) -> dict[str, Any]:
    definitions = {"node": node, "other": object_of(node=ITSELF)}
    return object_of(x=ITSELF) | {"$defs": definitions}


@pytest.mark.parametrize("node", ENDLESS.values(), ids=ENDLESS)
def test_schemas_without_end(guide: Guide, tiny_model: Model, node: dict[str, Any]) -> None:
    """A reply would fail in the middle, or go on until it is cut."""
    schema = recursive(node)
    with pytest.raises(InvalidRequestError, match="leads back to itself"):
        json_grammar(schema, guide)
    with pytest.raises(InvalidRequestError, match="leads back to itself"):
        call_grammar(tool_with(schema), guide=guide, must_call=True)
    check(guide, tiny_model, schema, {"x": 3}, fits=True)
    check(guide, tiny_model, schema, {"y": 3}, fits=False)


NOWHERE: dict[str, Any] = {
    "a definition": {"$ref": "#/$defs/none"},
    "an anchor": {"$ref": "#here"},
    "another file": {"$ref": "common.json#/$defs/one"},
    "a URL": {"$ref": "https://example.com/schema"},
    "a number": {"$ref": "#/properties/y/minimum"},
    "a list": {"$ref": "#/required"},
    "a definition that refers to nothing": {"$ref": "#/$defs/broken"},
    "a dynamic anchor": {"$dynamicRef": "#node"},
}


@pytest.mark.parametrize("name", NOWHERE)
def test_references_to_nothing_allow_anything(guide: Guide, tiny_model: Model, name: str) -> None:
    """They used to refuse requests whose tools nobody had asked to enforce."""
    schema = object_of(x=NOWHERE[name], y={"type": "integer", "minimum": 3})
    schema["$defs"] = {"broken": {"$ref": "#/$defs/none"}}
    for value in (1, "a", {"b": [None]}):
        check(guide, tiny_model, schema, {"x": value, "y": 3}, fits=True)
    check(guide, tiny_model, schema, {"x": 1, "y": 2}, fits=False)
    for grammar in (json_grammar, lambda one, _: call_grammar(tool_with(one), must_call=True)):
        with pytest.raises(InvalidRequestError, match=r"cannot be constrained to \$(dynamicR|r)ef"):
            grammar(schema, guide)


def test_an_option_that_refers_to_nothing_is_none_to_leave_out(
    guide: Guide, tiny_model: Model
) -> None:
    """The others would be all that is left: of an optional value, none."""
    schema = object_of(x={"anyOf": [{"$ref": "#/$defs/none"}, {"type": "null"}]})
    check(guide, tiny_model, schema, {"x": {"a": 1}}, fits=True)
    with pytest.raises(InvalidRequestError, match=r"\$ref .*none does not exist"):
        json_grammar(schema, guide)


def test_arguments_that_refer_to_nothing(guide: Guide, tiny_model: Model) -> None:
    check(guide, tiny_model, {"$ref": "#/$defs/none", "type": "object"}, {"a": 1}, fits=True)
    grammar = call_grammar(tool_with({"$ref": "https://example.com/schema"}), guide=guide)
    assert accepts(guide, tiny_model, grammar, f"find\n{call_text('find', '{}')}")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}, "minItems": 5, "maxItems": 3},
        {"type": "string", "minLength": 5, "maxLength": 3},
    ],
)
def test_counts_that_no_value_has(guide: Guide, schema: dict[str, Any]) -> None:
    """A tool that needed no call of it to fit was refused with "range end must be >= start"."""
    tool = tool_with(object_of(x=schema))
    assert guide.matcher(call_grammar(tool, guide=guide))
    with pytest.raises(InvalidRequestError, match="cannot be constrained to min"):
        call_grammar(tool, guide=guide, must_call=True)


@pytest.mark.parametrize("number", [10**30, 10**400, -(10**400)])
def test_integers_beyond_all_doubles(guide: Guide, tiny_model: Model, number: int) -> None:
    """Where a type stood beside them, the request ended with 500."""
    tool = tool_with(object_of(x={"type": "integer", "enum": [number, 1]}))
    for wanted, fits in ((number, True), (number + 1, False)):
        reply = f"find\n```python\ntool_call(x={wanted})\n```"
        assert accepts(guide, tiny_model, call_grammar(tool, guide=guide), reply) == fits


@pytest.mark.parametrize("node", ENDING.values(), ids=ENDING)
def test_schemas_that_refer_to_themselves(guide: Guide, node: dict[str, Any]) -> None:
    assert guide.matcher(json_grammar(recursive(node), guide))
    assert guide.matcher(call_grammar(tool_with(recursive(node)), guide=guide, must_call=True))


@pytest.mark.parametrize(
    "schema",
    [
        A_NUMBER | {"properties": {"n": {"type": "integer"}, "x": ITSELF}},
        object_of(n={"anyOf": [ITSELF, {"type": "integer"}]}),
        A_NUMBER | {"properties": {"n": {"type": "integer"}, "x": ITSELF}, "maxProperties": 2},
    ],
)
def test_what_has_no_end_is_left_out_where_it_may_be(
    guide: Guide, tiny_model: Model, schema: dict[str, Any]
) -> None:
    schema = schema | {"$defs": {"node": object_of(next=ITSELF)}}
    check(guide, tiny_model, schema, {"n": 1}, fits=True)
    check(guide, tiny_model, schema, {"n": {"next": 1}}, fits=False)
    check(guide, tiny_model, schema, {"n": 1, "x": {"next": 1}}, fits=False)


@pytest.mark.parametrize(("num_names", "is_held"), [(60, True), (65, False), (3000, False)])
def test_properties_are_counted_where_they_are_few(
    guide: Guide, num_names: int, is_held: bool
) -> None:
    """llguidance took seconds and hundreds of MB for 200."""
    names = [f"p{number}" for number in range(num_names)]
    schema = object_of(**{name: {"type": "null"} for name in names}) | {"minProperties": 3}
    if is_held:
        assert guide.matcher(json_grammar(schema, guide))
        return
    with pytest.raises(InvalidRequestError, match=r"minProperties .of more than 64"):
        json_grammar(schema, guide)
    assert json_grammar(schema, guide, is_strict=False)
