"""JSON schemas of tools and replies: references, limits, and changes before they are compiled."""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from glm3edge.errors import InvalidRequestError
from glm3edge.limits import MAX_MULTIPLE, MAX_OPTIONAL

_NAMED_SCHEMAS = {"properties", "patternProperties", "$defs", "definitions"}
_SCHEMAS = {
    *("items", "prefixItems", "additionalItems", "additionalProperties"),
    *("anyOf", "oneOf", "allOf"),
}
_OTHER_PARTS = {"anyOf", "oneOf", "$ref"}
TEXT_FORMS = frozenset({"pattern", "format"})
_MORE_PROPERTIES = {"additionalProperties", "patternProperties"}
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*(?:\]|\\?\Z)|\{(\d*)(?:,(\d*))?\}|.", re.DOTALL)
_LEAST, _MOST = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
_LARGEST_INTEGER = 10**18 - 1


def resolve(ref: str, root: Mapping[str, Any]) -> object:
    """The schema that a local reference, such as ``#/$defs/name``, stands for.

    Raises:
        LookupError: no schema is there.
    """
    place: Any = root
    if ref != "#" and not ref.startswith("#/"):  # of another document, or the name of an anchor
        raise LookupError(ref)
    for part in filter(None, unquote(ref[1:]).split("/")):
        key: Any = part.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and key.isdecimal() and len(key) < 10:
            key = int(key)
        try:
            place = place[key]
        except (LookupError, TypeError) as exc:
            raise LookupError(ref) from exc
    if not isinstance(place, dict | bool):
        raise LookupError(ref)
    return place


def required_names(schema: Mapping[str, Any]) -> set[str]:
    """Names of an object's required properties."""
    required = schema.get("required")
    if not isinstance(required, list):
        return set()
    return {name for name in required if isinstance(name, str)}


def count_range(schema: Mapping[str, Any], least_key: str, most_key: str) -> tuple[int, int | None]:
    """Least and greatest count that two keywords give."""
    least, most = schema.get(least_key), schema.get(most_key)
    return (
        least if isinstance(least, int) and least > 0 else 0,
        most if isinstance(most, int) and most >= 0 else None,
    )


def check_num_optional(num_optional: int, *, param: str) -> None:
    """Check the number of an object's optional properties.

    Raises:
        InvalidRequestError: they are too many.
    """
    if num_optional > MAX_OPTIONAL:
        message = f"{param} has an object of {num_optional} properties that are not required"
        raise InvalidRequestError(f"{message}; at most {MAX_OPTIONAL} can be", param=param)


def pattern_cost(pattern: str) -> int:
    """Number of characters and classes in a regular expression whose repetitions are written out.

    ``^(a{3}b){2}$`` has ten. Where something of no fixed length is repeated, as in
    ``(a{1,3}b){2}``, they count ten times: there are many ways to divide a text.
    """
    sums, last = [0], 0  # of the open groups
    varies = [False]  # whether the open groups have no fixed length
    last_varies = False
    for found in _ATOM.finditer(pattern):
        if found[0] == "(":
            sums.append(0)
            varies.append(False)
        elif found[0] == ")" and len(sums) > 1:
            last, last_varies = sums.pop(), varies.pop()
            sums[-1] += last
            varies[-1] |= last_varies
        elif found[1] is not None and (most := found[2] or found[1]):
            times = int(most[:9]) * (10 if last_varies else 1)
            sums[-1] += last * (times - 1)
            last *= times
            last_varies = found[2] is not None
            varies[-1] |= last_varies
        else:
            last, last_varies = 1, False
            sums[-1] += 1
    return sum(sums)


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    """``schema`` and those within it, unless they are ``true`` or ``false``."""
    if not isinstance(schema, dict):
        return
    yield schema
    for key, value in schema.items():
        if key in _NAMED_SCHEMAS and isinstance(value, dict):
            parts: Iterable[Any] = value.values()
        elif key in _SCHEMAS:
            parts = value if isinstance(value, list) else [value]
        else:
            continue
        for part in parts:
            yield from subschemas(part)


def joined(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Schemas that hold together with others for one value, and those within them.

    References may lead to ``$defs`` only.
    """
    found: dict[int, dict[str, Any]] = {}
    waiting: list[Any] = [node for node in subschemas(schema) if _joins(node)]
    while waiting:
        part = waiting.pop()
        if id(part) not in found:
            inner = list(subschemas(part))
            found |= {id(node): node for node in inner}
            waiting += [resolve(node["$ref"], schema) for node in inner if "$ref" in node]
    return list(found.values())


def multiple_digits(schema: Mapping[str, Any]) -> int:
    """Value of ``multipleOf`` without its decimal point: ``0.25`` has 25, one without end more than
    any limit."""
    number = schema.get("multipleOf")
    if isinstance(number, bool) or not isinstance(number, int | float):
        return 0
    _, digits, exponent = Decimal(str(number)).as_tuple()
    if not isinstance(exponent, int) or exponent > 0:  # infinite, or very large
        return MAX_MULTIPLE + 1
    return int("".join(map(str, digits)))


def close_objects(schema: dict[str, Any]) -> None:
    """Forbid properties that objects do not name.

    Where they add up, as those of ``allOf``, all that are named may come. References may lead to
    ``$defs`` only.
    """
    nodes = list(subschemas(schema))
    sums = [node for node in nodes if _is_sum(node)]
    parts = {id(part): part for node in sums for part in _parts(node, schema)[1:]}
    for node in sums:
        if id(node) not in parts:
            _close_sum(node, _parts(node, schema))
    for node in nodes:
        if id(node) not in parts and not _is_sum(node):
            _close(node)


def bound_integers(schema: dict[str, Any], *, param: str) -> None:
    """Give integers 18 digits at most, where ``schema`` does not bound them itself.

    Raises:
        InvalidRequestError: an object has too many optional properties.
    """
    for node in subschemas(schema):
        _bound(node, param=param)


def _is_sum(schema: Mapping[str, Any]) -> bool:
    """Whether several parts describe the same object."""
    return "allOf" in schema or ("properties" in schema and bool(schema.keys() & _OTHER_PARTS))


def _joins(schema: Mapping[str, Any]) -> bool:
    """Whether ``schema`` says more of a value than one of its parts does."""
    return "allOf" in schema or bool(schema.keys() & _OTHER_PARTS and schema.keys() & TEXT_FORMS)


def _parts(schema: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    """``schema`` and all that describes the same values."""
    found: dict[int, dict[str, Any]] = {}
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, dict) and id(part) not in found:
            found[id(part)] = part
            waiting += [one for key in ("allOf", "anyOf", "oneOf") for one in part.get(key, ())]
            waiting += [resolve(part["$ref"], root)] if "$ref" in part else []
    return list(found.values())


def _close_sum(schema: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    if any(part.keys() & _MORE_PROPERTIES for part in parts):
        return
    names = [name for part in parts for name in part.get("properties", ())]
    names += [name for part in parts for name in sorted(required_names(part))]
    if names:
        own = schema.get("properties", {})
        schema["properties"] = own | {name: True for name in names if name not in own}
        schema["additionalProperties"] = False


def _close(schema: dict[str, Any]) -> None:
    """Forbid an object further properties, unless it requires some that it does not name."""
    properties = schema.get("properties")
    if isinstance(properties, dict) and not schema.keys() & _MORE_PROPERTIES:
        required = schema.get("required")
        if not isinstance(required, list) or set(map(str, required)) <= properties.keys():
            schema["additionalProperties"] = False


def _bound(schema: dict[str, Any], *, param: str) -> None:
    if isinstance(properties := schema.get("properties"), dict):
        num_optional = len(properties.keys() - required_names(schema))
        check_num_optional(num_optional, param=param)
    kind = schema.get("type")
    if not (kind == "integer" or (isinstance(kind, list) and "integer" in kind)):
        return
    if schema.keys() & {"enum", "const", "multipleOf"}:
        return
    low, high = (_first_number(schema, names) for names in (_LEAST, _MOST))
    if high is None and (low is None or low < _LARGEST_INTEGER):
        schema[_MOST[0]] = _LARGEST_INTEGER
    if low is None and (high is None or high > -_LARGEST_INTEGER):
        schema[_LEAST[0]] = -_LARGEST_INTEGER


def _first_number(schema: Mapping[str, Any], names: Iterable[str]) -> float | None:
    found = [value for name in names if isinstance(value := schema.get(name), int | float)]
    return found[0] if found else None
