"""Schemas made plain, and arguments that a call can name."""

from typing import Any

import pytest

from glm3edge.chatglm3.grammar import call_grammar
from glm3edge.schema.chat import Tool
from glm3edge.tools.schemas import plain_schema, with_identifiers


def test_titles_go_and_references_are_put_in_place() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Arguments",
        "$defs": {"Unit": {"title": "Unit", "enum": ["c", "f"], "type": "string"}},
        "properties": {
            "title": {"title": "Title", "type": "string", "default": {"title": "kept"}},
            "units": {"type": "array", "items": {"$ref": "#/$defs/Unit", "description": "d"}},
        },
    }
    assert plain_schema(schema) == {
        "type": "object",
        "properties": {
            "title": {"type": "string", "default": {"title": "kept"}},
            "units": {
                "type": "array",
                "items": {"enum": ["c", "f"], "type": "string", "description": "d"},
            },
        },
    }


@pytest.mark.parametrize("ref", ["#", "#/$defs/Node", "#/$defs/None", "http://x/y"])
def test_what_contains_itself_or_leads_elsewhere_stays(ref: str) -> None:
    node = {"type": "object", "properties": {"next": {"$ref": ref}}}
    schema = {"type": "object", "properties": {"node": {"$ref": ref}}, "$defs": {"Node": node}}
    assert plain_schema(schema) == schema


def test_no_schema_is_that_of_no_arguments() -> None:
    assert plain_schema({}) == {"type": "object", "properties": {}}


def test_arguments_get_names_that_python_has() -> None:
    names = ["file-path", "file_path", "from", "2nd", "城市", "ok", "", "a.b"]
    schema = {"properties": {name: {"description": name} for name in names}, "required": names[:3]}
    changed, real_names = with_identifiers(schema)
    assert real_names == {
        "file_path_": "file-path",
        "from_": "from",
        "_2nd": "2nd",
        "__": "城市",
        "_": "",
        "a_b": "a.b",
    }
    assert changed["required"] == ["file_path_", "file_path", "from_"]
    properties: dict[str, Any] = changed["properties"]
    assert [real_names.get(name, name) for name in properties] == names
    assert all(value["description"] == real_names.get(n, n) for n, value in properties.items())


def test_calls_of_such_arguments_are_held_to_a_grammar() -> None:
    schema = {"type": "object", "properties": {"file-path": {"type": "string"}}}

    def grammar(parameters: dict[str, Any]) -> str | None:
        function = {"name": "read", "parameters": parameters}
        return call_grammar(Tool.model_validate({"type": "function", "function": function}))

    assert grammar(schema) is not None
    assert grammar(with_identifiers(schema)[0]) is not None
