"""References and limits of JSON schemas, and how schemas are changed before they are compiled."""

from typing import Any

import pytest

from glm3edge.chatglm3.json_schema import (
    bound_integers,
    close_objects,
    count_range,
    pattern_cost,
    required_names,
    resolve,
)
from glm3edge.errors import InvalidRequestError
from glm3edge.limits import MAX_OPTIONAL

ROOT: dict[str, Any] = {"$defs": {"a": {"type": "null"}, "b/c": [{}, {"const": 1}], "~": {}}}
CLOSED = {"additionalProperties": False}
WIDEST = {"minimum": 1 - 10**18, "maximum": 10**18 - 1}


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("#", ROOT),
        ("#/", ROOT),
        ("#/$defs/a", {"type": "null"}),
        ("#/$defs/b~1c/1", {"const": 1}),
        ("#/$defs/~0", {}),
        ("#/%24defs/b~1c/1", {"const": 1}),
    ],
)
def test_references(ref: str, expected: object) -> None:
    assert resolve(ref, ROOT) == expected


@pytest.mark.parametrize(
    "ref",
    [
        *("#/$defs/none", "#/$defs/b~1c/2", "#/$defs/b~1c/x", "#/$defs/a/type/x", "http://x/y"),
        *("#/$defs/b~1c/-1", "#$defs", "#name", "tree.json", "other.json#/$defs/a", ""),
        *("#/$defs/a/type", "#/$defs/a/type/0", "#/$defs/b~1c"),  # no schemas
        "#/$defs/b~1c/" + "9" * 5000,  # Python reads no integer of so many digits
    ],
)
def test_references_that_lead_nowhere(ref: str) -> None:
    with pytest.raises(LookupError):
        resolve(ref, ROOT)


@pytest.mark.parametrize(
    ("required", "expected"), [(["a", 1, "b"], {"a", "b"}), ("a", set()), (None, set())]
)
def test_required_names(required: object, expected: set[str]) -> None:
    assert required_names({"required": required}) == expected


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [(None, None, (0, None)), (2, 9, (2, 9)), (-1, -1, (0, None)), ("2", 2.5, (0, None))],
)
def test_ranges(least: object, most: object, expected: tuple[int, int | None]) -> None:
    assert count_range({"least": least, "most": most}, "least", "most") == expected


@pytest.mark.parametrize(
    ("schema", "changes"),
    [
        ({"properties": {}}, CLOSED),
        ({"properties": {"a": {}}, "required": ["a"]}, CLOSED),
        ({"properties": {"a": {}}, "required": ["b"]}, {}),
        ({"properties": {}, "additionalProperties": True}, {}),
        ({"properties": {"a": {}}, "allOf": [{"additionalProperties": {}}]}, {}),
        ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, {}),
        ({"type": "object"}, {}),
    ],
)
def test_objects_are_closed(schema: dict[str, Any], changes: dict[str, Any]) -> None:
    for make in (lambda one: {"items": one}, lambda one: {"$defs": {"x": one}}, lambda one: one):
        made = make(dict(schema))
        close_objects(made)
        assert made == make(schema | changes)
    value = {"default": dict(schema)}
    close_objects(value)
    assert value == {"default": schema}


def test_objects_that_add_up_have_what_any_part_names() -> None:
    """However the parts are reached."""
    a, b, c = [dict[str, Any](properties={name: {}}) for name in "abc"]
    whole: dict[str, Any] = {"allOf": [{"$ref": "#/$defs/d0"}, a, {"required": ["d"]}]}
    schema: dict[str, Any] = {
        "properties": {"x": whole, "y": b},
        "$defs": {"d0": {"anyOf": [{"$ref": "#/$defs/d1"}]}, "d1": c, "d2": {"items": dict(c)}},
    }
    close_objects(schema)
    assert (a, c) == ({"properties": {"a": {}}}, {"properties": {"c": {}}})
    assert whole["properties"] == {"a": True, "c": True, "d": True}
    assert whole["additionalProperties"] is False
    assert b == {"properties": {"b": {}}} | CLOSED
    assert schema["$defs"]["d2"]["items"] == {"properties": {"c": {}}} | CLOSED
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("schema", "changes"),
    [
        ({"type": "integer"}, WIDEST),
        ({"type": ["null", "integer"]}, WIDEST),
        ({"type": "integer", "minimum": 0}, {"maximum": 10**18 - 1}),
        ({"type": "integer", "exclusiveMaximum": 0}, {"minimum": 1 - 10**18}),
        ({"type": "integer", "minimum": 10**20}, {}),
        ({"type": "integer", "enum": [1]}, {}),
        ({"type": "number"}, {}),
    ],
)
def test_integers_are_bounded(schema: dict[str, Any], changes: dict[str, Any]) -> None:
    made: dict[str, Any] = {"properties": {"n": dict(schema)}}
    bound_integers(made, param="tools")
    assert made == {"properties": {"n": schema | changes}}


def test_too_many_optional_properties() -> None:
    names = [f"p{number}" for number in range(MAX_OPTIONAL + 1)]
    properties: dict[str, Any] = {name: {} for name in names}
    schema = {"properties": properties, "required": names[:1]}
    bound_integers(schema, param="tools")
    with pytest.raises(InvalidRequestError, match=f"{MAX_OPTIONAL + 1} properties") as caught:
        bound_integers({"properties": properties}, param="response_format")
    assert caught.value.param == "response_format"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", 0),
        ("abc", 3),
        ("[a-z]{3}", 3),
        (r"\d{4}-\d{2}-\d{2}", 10),
        ("(a{3}b){2}", 8),
        ("(a{1,3}b){2}", 80),
        ("((a{1,3}b)c){2}", 100),
        ("(a{1,3}b)c{2}", 6),
        ("(a(bc){2,}){3,5}", 250),
        (r"[\]{9}]{2}", 2),
        (r"\(\{3\}", 4),
        ("a{3", 3),
        (")(", 1),
        (r"^(\w{1,200}\s?){1,200}$", 404_002),
        ("a{99999999999}" * 2, 1_999_999_998),
        ("a[bc{9}", 2),
        ("[\\", 1),
        ("[" * 200_000, 1),  # each was read to the end
        ("[" * 200_000 + "\\", 1),
    ],
)
def test_sizes_of_patterns(pattern: str, expected: int) -> None:
    assert pattern_cost(pattern) == expected
