"""JSON schemas of arguments, simplified for a small model."""

from typing import Any

Schema = dict[str, Any]

_VALUES = {"enum", "const", "default", "examples"}
"""Keywords whose values are not schemas."""
_NAMED_SCHEMAS = {"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"}
_LOCAL = ("#/$defs/", "#/definitions/")


def plain_schema(schema: Schema) -> Schema:
    """``schema`` without titles and with its references inlined, which takes fewer prompt tokens.

    A recursive schema keeps its references.
    """
    try:
        plain: Schema = _plain(schema, schema, ())
    except (RecursionError, LookupError):
        plain = schema
    else:
        plain = {key: value for key, value in plain.items() if key not in {"$defs", "definitions"}}
    return {"type": "object", "properties": {}} | plain


def _plain(value: Any, root: Schema, within: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_plain(one, root, within) for one in value]
    if not isinstance(value, dict):
        return value
    if isinstance(ref := value.get("$ref"), str):
        rest = {key: one for key, one in value.items() if key != "$ref"}
        return _plain(_target(ref, root, within), root, (*within, ref)) | _plain(rest, root, within)
    kept = (item for item in value.items() if item[0] not in {"title", "$schema"})
    return {key: _plain_part(key, one, root, within) for key, one in kept}


def _plain_part(key: str, value: Any, root: Schema, within: tuple[str, ...]) -> Any:
    if key in _VALUES:
        return value
    if key in _NAMED_SCHEMAS and isinstance(value, dict):
        # A property may be named "title"; definitions are inlined.
        is_defined = key in {"$defs", "definitions"}
        return {} if is_defined else {k: _plain(one, root, within) for k, one in value.items()}
    return _plain(value, root, within)


def _target(ref: str, root: Schema, within: tuple[str, ...]) -> Any:
    if ref in within:
        raise RecursionError(ref)
    for start in _LOCAL:
        if ref.startswith(start):
            return root[start[2:-1]][ref.removeprefix(start)]
    raise LookupError(ref)
