"""JSON schemas of tools and replies: references, limits, and changes before they are compiled."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from glm3edge.errors import InvalidRequestError

MAX_OPTIONAL = 2000
"""Most optional properties of an object: llguidance gives up in mid-reply where too many could come
next; see ``llama.guidance``."""

_NAMED_SCHEMAS = {"properties", "patternProperties", "$defs", "definitions"}
_SCHEMAS = {
    *("items", "prefixItems", "additionalItems", "additionalProperties"),
    *("anyOf", "oneOf", "allOf"),
}
_OTHER_PARTS = {"anyOf", "oneOf", "$ref"}
_MORE_PROPERTIES = {"additionalProperties", "patternProperties"}
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(\d*)(?:,(\d*))?\}|.", re.DOTALL)
_LEAST, _MOST = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
_LARGEST_INTEGER = 10**18 - 1


def resolve(ref: str, root: Mapping[str, Any], *, param: str = "tools") -> object:
    """The schema that a local reference, such as ``#/$defs/name``, stands for.

    Raises:
        InvalidRequestError: nothing is there.
    """
    place: Any = root
    for part in filter(None, ref.removeprefix("#").split("/")):
        key: Any = part.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list):
            key = int(key) if key.isdecimal() and int(key) < len(place) else None
        is_there = key in place if isinstance(place, dict) else key is not None
        if not ref.startswith("#") or not isinstance(place, dict | list) or not is_there:
            raise InvalidRequestError(f"$ref {ref!r} leads nowhere in its schema", param=param)
        place = place[key]
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


def num_atoms(pattern: str) -> int:
    """Number of characters and classes in a regular expression whose repetitions are written out.

    ``^(a{1,3}b){2}$`` has ten.
    """
    sums, last = [0], 0  # of the open groups
    for found in _ATOM.finditer(pattern):
        if found[0] == "(":
            sums.append(0)
        elif found[0] == ")" and len(sums) > 1:
            last = sums.pop()
            sums[-1] += last
        elif found[1] is not None and (most := found[2] or found[1]):
            times = int(most[:9])
            sums[-1] += last * (times - 1)
            last *= times
        else:
            last = 1
            sums[-1] += 1
    return sum(sums)


def closed(schema: Any) -> Any:
    """``schema``, with no properties but those that objects name.

    It stays as it is where parts of it, such as those of ``allOf``, add up their properties.
    """
    return schema if _adds_up(schema) else map_schemas(schema, _close)


def bounded(schema: Any, *, param: str) -> Any:
    """``schema``, with integers of at most 18 digits where it does not bound them itself.

    Raises:
        InvalidRequestError: an object has too many optional properties.
    """
    return map_schemas(schema, partial(_bound, param=param))


def _adds_up(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_adds_up, schema))
    if not isinstance(schema, dict):
        return False
    is_sum = "allOf" in schema or ("properties" in schema and schema.keys() & _OTHER_PARTS)
    return bool(is_sum) or any(map(_adds_up, schema.values()))


def map_schemas(schema: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    """A copy of ``schema``, with ``change`` made to it and to the schemas within."""
    if isinstance(schema, list):
        return [map_schemas(one, change) for one in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {
        key: {name: map_schemas(one, change) for name, one in value.items()}
        if key in _NAMED_SCHEMAS and isinstance(value, dict)
        else map_schemas(value, change)
        if key in _SCHEMAS
        else value
        for key, value in schema.items()
    }
    change(copy)
    return copy


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
