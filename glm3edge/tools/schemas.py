"""JSON schemas of arguments, simplified for a small model and for ChatGLM3's calls."""

import keyword
import re
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


def with_identifiers(schema: Schema) -> tuple[Schema, dict[str, str]]:
    """``schema`` with property names that are identifiers, since ChatGLM3 calls tools with Python
    keyword arguments; and the original names by the new ones."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return schema, {}
    taken = {name for name in properties if _is_identifier(name)}
    new_names: dict[str, str] = {}
    for name in properties:
        new_names[name] = name if name in taken else _free_identifier(name, taken)
        taken.add(new_names[name])
    changed: Schema = {"properties": {new_names[name]: value for name, value in properties.items()}}
    if isinstance(required := schema.get("required"), list):
        changed["required"] = [new_names.get(name, name) for name in required]
    real_names = {new: name for name, new in new_names.items() if new != name}
    return schema | changed, real_names


def _free_identifier(name: str, taken: set[str]) -> str:
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not plain or plain[0].isdigit():
        plain = f"_{plain}"
    while plain in taken or keyword.iskeyword(plain):
        plain += "_"
    return plain


def _is_identifier(name: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)) and not keyword.iskeyword(name)
