"""Schemas made plain."""

import pytest

from glm3edge.tools.schemas import plain_schema


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
