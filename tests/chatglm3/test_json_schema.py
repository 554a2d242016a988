"""References and limits of JSON schemas, and how schemas are changed before they are compiled."""

from typing import Any

import pytest

from glm3edge.chatglm3.json_schema import (
    MAX_OPTIONAL,
    bounded,
    closed,
    count_range,
    required_names,
    resolve,
    resolve_root,
)
from glm3edge.errors import InvalidRequestError

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
    ],
)
def test_references(ref: str, expected: object) -> None:
    assert resolve(ref, ROOT) == expected


@pytest.mark.parametrize(
    "ref", ["#/$defs/none", "#/$defs/b~1c/2", "#/$defs/b~1c/x", "#/$defs/a/type/x", "http://x/y"]
)
def test_references_that_lead_nowhere(ref: str) -> None:
    with pytest.raises(InvalidRequestError, match="leads nowhere") as caught:
        resolve(ref, ROOT)
    assert caught.value.param == "tools"


def test_a_root_may_be_a_reference() -> None:
    node = {"type": "object"}
    assert resolve_root(node) is node
    chain = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": node}}
    assert resolve_root(chain) is node
    assert resolve_root({"$ref": "#"}) is None
    assert resolve_root({"$ref": "#/$defs/a", "$defs": {"a": True}}) is None


@pytest.mark.parametrize(
    ("required", "expected"), [(["a", 1, "b"], {"a", "b"}), ("a", set()), (None, set())]
)
def test_required_names(required: object, expected: set[str]) -> None:
    assert required_names({"required": required}) == expected


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [(None, None, (0, None)), (2, 9, (2, 9)), (-1, -1, (0, None)), (11, 11, (10, None))],
)
def test_ranges(least: object, most: object, expected: tuple[int, int | None]) -> None:
    assert count_range({"least": least, "most": most}, "least", "most", limit=10) == expected


@pytest.mark.parametrize(
    ("schema", "changes"),
    [
        ({"properties": {}}, CLOSED),
        ({"properties": {"a": {}}, "required": ["a"]}, CLOSED),
        ({"properties": {"a": {}}, "required": ["b"]}, {}),
        ({"properties": {}, "additionalProperties": True}, {}),
        ({"properties": {}, "allOf": []}, {}),
        ({"type": "object"}, {}),
    ],
)
def test_objects_are_closed(schema: dict[str, Any], changes: dict[str, Any]) -> None:
    before = dict(schema)
    assert closed(schema) == schema | changes
    assert closed({"items": schema}) == {"items": schema | changes}
    assert closed({"default": schema}) == {"default": schema}
    assert schema == before


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
    assert bounded({"properties": {"n": schema}}) == {"properties": {"n": schema | changes}}


def test_too_many_optional_properties() -> None:
    names = [f"p{number}" for number in range(MAX_OPTIONAL + 1)]
    properties: dict[str, Any] = {name: {} for name in names}
    schema = {"properties": properties, "required": names[:1]}
    assert bounded(schema) == schema
    with pytest.raises(InvalidRequestError, match=f"{MAX_OPTIONAL + 1} properties") as caught:
        bounded({"properties": properties})
    assert caught.value.param == "response_format"
