"""Grammars of replies that are JSON: given texts that they allow or not."""

from typing import Any

import pytest

from glm3edge.chatglm3.enforceable import EnforceableSchema
from glm3edge.errors import InvalidRequestError
from glm3edge.llama.guidance import Guide
from glm3edge.llama.model import Model
from tests.support.calls import accepts, json_grammar


def test_a_keyword_that_cannot_be_followed_is_named(guide: Guide) -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    wanted = {"type": "object", "properties": {"a": schema}}
    with pytest.raises(InvalidRequestError, match="constrained to uniqueItems:") as caught:
        json_grammar(wanted, guide)
    assert caught.value.param == "response_format"
    assert "\n" not in str(caught.value)
    assert guide.matcher(json_grammar(wanted, guide, is_strict=False))


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"properties": {"a": {"type": "null"}}}, '{"a": null}', '{"a": null, "b": 1}'),
        (
            {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"properties": {}}}},
            '{"a": {}}',
            '{"a": {"b": 1}}',
        ),
        ({"items": {"properties": {"a": {}}}, "type": "array"}, '[{"a": 1}]', '[{"b": 1}]'),
        (
            {"properties": {"properties": {"const": {"properties": {}}}}},
            '{"properties": {"properties": {}}}',
            '{"properties": {}}',
        ),
        ({"properties": {"a": {}}, "additionalProperties": True}, '{"b": 1}', "[]"),
    ],
)
def test_objects_have_no_properties_that_nobody_asked_for(
    guide: Guide, tiny_model: Model, schema: dict[str, Any], right: str, wrong: str
) -> None:
    grammar = json_grammar({"type": "object"} | schema)
    assert accepts(guide, tiny_model, grammar, right)
    assert not accepts(guide, tiny_model, grammar, wrong)


@pytest.mark.parametrize(
    "schema",
    [
        {
            "properties": {"a": {"const": 1}},
            "required": ["a"],
            "anyOf": [{"properties": {"b": {"const": 2}}, "required": ["b"]}],
        },
        {
            "properties": {"a": {"const": 1}},
            "$ref": "#/$defs/x",
            "$defs": {"x": {"properties": {"b": {"const": 2}}, "required": ["b"]}},
        },
        {"properties": {"a": {"const": 1}}, "required": ["a", "b"]},
    ],
)
def test_closing_leaves_nothing_impossible(
    guide: Guide, tiny_model: Model, schema: dict[str, Any]
) -> None:
    grammar = json_grammar({"type": "object"} | schema)
    assert accepts(guide, tiny_model, grammar, '{"a": 1, "b": 2}')


def test_parts_that_add_up_stay_open(guide: Guide, tiny_model: Model) -> None:
    part: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "null"}}}
    other: dict[str, Any] = {"type": "object", "properties": {"b": {"type": "null"}}}
    assert accepts(
        guide, tiny_model, json_grammar({"allOf": [part, other]}), '{"a": null, "b": null}'
    )


@pytest.mark.parametrize(
    ("schema", "number", "is_allowed"),
    [
        ({"type": "integer"}, 10**18 - 1, True),
        ({"type": "integer"}, 1 - 10**18, True),
        ({"type": "integer"}, 2 * 10**18, False),
        ({"type": "integer", "minimum": 0}, 10**17, True),
        ({"type": "integer", "minimum": 0}, 2 * 10**18, False),
        ({"type": ["integer", "null"]}, 2 * 10**18, False),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, None, False),
        ({"type": "integer", "enum": [10**15]}, 10**15, True),
    ],
)
def test_integers_of_json_end(
    guide: Guide,
    tiny_model: Model,
    schema: dict[str, Any],
    number: int | None,
    is_allowed: bool,
) -> None:
    value = number or '{"any": 2000000000000000000}'
    grammar = json_grammar({"type": "object", "properties": {"n": schema}, "required": ["n"]})
    assert accepts(guide, tiny_model, grammar, f'{{"n": {value}}}') == is_allowed


PATTERNS = [{"type": "string", "pattern": f".*a.{{{n}}}b.*"} for n in range(1, 30)]
DEAR: dict[str, tuple[dict[str, Any], str]] = {
    "allOf": ({"allOf": PATTERNS}, "pattern"),
    "references": (
        {"$ref": "#/$defs/d0"}
        | {
            "$defs": {f"d{n}": p | {"$ref": f"#/$defs/d{n + 1}"} for n, p in enumerate(PATTERNS)}
            | {"d29": {"type": "string"}}
        },
        "pattern",
    ),
    "formats": ({"allOf": [{"format": "date"}] * 9}, "format"),
    "repetitions": ({"type": "string", "pattern": r"^(\w{1,200}\s?){1,200}$"}, "pattern"),
    "a multiple": ({"type": "integer", "multipleOf": 9_999_991}, "multipleOf"),
    "a decimal multiple": ({"type": "number", "multipleOf": 0.9999991}, "multipleOf"),
    "an endless multiple": ({"type": "number", "multipleOf": 1e300}, "multipleOf"),
    "multiples": (
        {"properties": {f"p{n}": {"type": "integer", "multipleOf": 999} for n in range(11)}},
        "multipleOf",
    ),
}


@pytest.mark.parametrize("name", DEAR)
def test_what_would_take_all_time_or_memory_is_left_out(guide: Guide, name: str) -> None:
    root, keyword = DEAR[name]
    schema = EnforceableSchema(root, guide.matcher, param="response_format")
    guide.matcher(f"start: {schema.grammar(root)}\n")
    assert keyword in schema.dropped
    with pytest.raises(InvalidRequestError, match=keyword):
        schema.check_is_whole("replies")


def test_a_few_patterns_and_multiples_are_held(guide: Guide) -> None:
    root = {"allOf": PATTERNS[:2], "properties": {"a": {"type": "integer", "multipleOf": 5000}}}
    schema = EnforceableSchema(root, guide.matcher, param="response_format")
    schema.grammar(root)
    assert not schema.dropped
