"""JSON schemas of Python annotations, which ChatGLM3's official tool definitions use.

``tool_register.py`` of the official demos describes a parameter by the name of its type: ``str``,
``tuple[int, int]``, ``typing.Optional[str]``. An annotation is parsed, never evaluated; unknown
ones allow any value. Names of JSON's types count, too.
"""

import ast
import warnings
from typing import Any

Schema = dict[str, Any]

MAX_CHARS = 1000
"""Longer annotations count as unknown."""

_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "None": "null",
    "NoneType": "null",
    "list": "array",
    "List": "array",
    "tuple": "array",
    "Tuple": "array",
    "set": "array",
    "Set": "array",
    "Sequence": "array",
    "dict": "object",
    "Dict": "object",
    "Mapping": "object",
}
_TYPES |= {name: name for name in _TYPES.values()}
_TUPLES = {"tuple", "Tuple"}


def schema_of(annotation: str) -> Schema:
    """JSON schema of ``annotation``; ``{}`` if it is unknown."""
    if len(annotation) > MAX_CHARS:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a strange escape in a string is no concern of ours
            node = ast.parse(annotation.strip(), mode="eval").body
        return _schema(node)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return {}


def _schema(node: ast.expr) -> Schema:
    match node:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Constant(value=str(text)):  # a forward reference
            return schema_of(text)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _any_of([left, right])
        case ast.Subscript(value=origin, slice=ast.Tuple(elts=arguments)):
            return _generic(_name(origin), arguments)
        case ast.Subscript(value=origin, slice=argument):
            return _generic(_name(origin), [argument])
    return _plain(_name(node))


def _plain(name: str) -> Schema:
    return {"type": _TYPES[name]} if name in _TYPES else {}


def _name(node: ast.expr) -> str:
    """Last part of a dotted name: ``Optional`` of ``typing.Optional``."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _generic(name: str, arguments: list[ast.expr]) -> Schema:
    if not arguments:
        return _plain(name)
    match name:
        case "Optional":
            return _any_of([*arguments, ast.Constant(None)])
        case "Union":
            return _any_of(arguments)
        case "Literal":
            return _enum(arguments)
    return _container(name, arguments)


def _container(name: str, arguments: list[ast.expr]) -> Schema:
    kind = _TYPES.get(name)
    if kind == "array":
        return _array(name, arguments)
    if kind == "object" and len(arguments) == 2:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    return _schema(arguments[0]) if name == "Annotated" else _plain(name)


def _any_of(nodes: list[ast.expr]) -> Schema:
    schemas = [_schema(node) for node in nodes]
    if {} in schemas:  # any value at all
        return {}
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _enum(nodes: list[ast.expr]) -> Schema:
    values = [node.value for node in nodes if isinstance(node, ast.Constant)]
    is_json = all(isinstance(value, str | int | float | None) for value in values)
    return {"enum": values} if is_json and len(values) == len(nodes) else {}


def _array(name: str, arguments: list[ast.expr]) -> Schema:
    if name not in _TUPLES or _is_endless(arguments):
        return {"type": "array", "items": _schema(arguments[0])}
    items = [_schema(node) for node in arguments]
    are_alike = all(item == items[0] for item in items)
    parts: Schema = {"items": items[0]} if are_alike else {"prefixItems": items}
    return {"type": "array", **parts, "minItems": len(items), "maxItems": len(items)}


def _is_endless(arguments: list[ast.expr]) -> bool:
    """Whether the arguments end with ``...``, as in ``tuple[int, ...]``."""
    last = arguments[-1]
    return isinstance(last, ast.Constant) and last.value is ...
