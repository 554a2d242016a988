"""Grammar rules for Python literals that follow JSON schemas, in llguidance's dialect of Lark."""

import json
from collections.abc import Mapping
from typing import Any

from glm3edge.chatglm3.json_schema import (
    MAX_DEPTH,
    check_num_optional,
    count_range,
    required_names,
    resolve,
)
from glm3edge.errors import InvalidRequestError

MAX_CHARS = 2**20
"""Of the grammars of a request's calls: a second to compile. References to one place under many
names can make them much longer than the schemas."""

UNSUPPORTED = frozenset(
    {
        *("allOf", "not", "if", "then", "else", "patternProperties", "propertyNames", "contains"),
        *("minContains", "maxContains", "uniqueItems", "minProperties", "maxProperties"),
        *("prefixItems", "dependentRequired", "dependentSchemas"),
        *("unevaluatedProperties", "unevaluatedItems"),
    }
)
"""Keywords of JSON schema that are not enforced."""

_ESCAPE = r"""\\['"\\bfnrt]|\\u([0-9a-ce-fA-CE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2})"""
_STRING = rf"""/'([^'\\\x00-\x1f]|{_ESCAPE})%s'/ | /"([^"\\\x00-\x1f]|{_ESCAPE})%s"/"""
_HEAD = (
    f"ANY_STRING: {_STRING % ('*', '*')}"
    r"""
INTEGER: /-?(0|[1-9][0-9]{0,17})/
NUMBER: /-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?/
BOOLEAN: "True" | "False"
NULL: "None"
any_value: ANY_STRING | NUMBER | BOOLEAN | NULL | any_list | any_object
any_list: "[" "]" | "[" any_value (", " any_value)* "]"
any_object: "{" "}" | "{" any_pair (", " any_pair)* "}"
any_pair: ANY_STRING ": " any_value
"""
)
_ANY_ARGUMENTS = (
    'any_arguments: | any_argument (", " any_argument)*\n'
    r'any_argument: /[\p{L}_][\p{L}\p{Nd}_]*/ "=" any_value'
)
_TYPES = {
    "string": "ANY_STRING",
    "integer": "INTEGER",
    "number": "NUMBER",
    "boolean": "BOOLEAN",
    "null": "NULL",
}
_KINDS = (*_TYPES, "array", "object")
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_LENGTHS = {"minLength", "maxLength"}
_MAX_COUNTED_CHARS, _MAX_COUNTED_ITEMS = 4096, 256
"""Beyond these the length of strings and arrays is not counted."""
_FORMATS = {
    *("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"),
}
"""Formats of strings that llguidance knows; others are not enforced."""


class Rules:
    """Rules of one grammar, added as they are needed.

    Methods return expressions that may stand on the right side of a rule.

    Attributes:
        unsupported: keywords of the current schema that are not enforced.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._num_chars = 0
        self._num_names = 0
        self._known: dict[str, str] = {}  # $ref -> rule
        self._open: frozenset[str] = frozenset()  # $refs that lead to the current value
        self._uses_any_arguments = False
        self.unsupported: set[str] = set()

    @property
    def text(self) -> str:
        """All rules but ``start``."""
        lines = [*self._lines, _ANY_ARGUMENTS] if self._uses_any_arguments else self._lines
        return _HEAD + "\n".join(lines) + "\n"

    def begin_schema(self) -> None:
        """Begin another schema, whose references are its own."""
        self._known = {}
        self.unsupported = set()

    def any_arguments(self) -> str:
        """Expression for any arguments of a call."""
        self._uses_any_arguments = True
        return "any_arguments"

    def value(self, schema: object, root: Mapping[str, Any], depth: int = 0) -> str:
        """Expression for a value of ``schema``, whose references start at ``root``.

        Raises:
            InvalidRequestError: a reference leads nowhere, or the grammar becomes too long.
        """
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return "any_value"
        self.unsupported |= schema.keys() & UNSUPPORTED
        if isinstance(ref := schema.get("$ref"), str):
            return self._reference(ref, root, depth)
        if isinstance(options := schema.get("enum"), list) and options:
            return "(" + " | ".join(literal(option) for option in options) + ")"
        if "const" in schema:
            return literal(schema["const"])
        if isinstance(choices := schema.get("anyOf", schema.get("oneOf")), list) and choices:
            return self._any_of(choices, root, depth)
        return self._typed(schema, root, depth)

    def sequence(self, members: list[tuple[str, str]], schema: Mapping[str, Any]) -> str:
        """Expression for ``members`` in order, with commas between; optional ones may be missing.

        Halves of halves: llguidance walks rules recursively, and ends the process where rules lead
        from one to the next thousands of times.

        Args:
            members: pairs of an expression and the property that it is for.
            schema: of the object; says which properties are required.

        Raises:
            InvalidRequestError: too many are optional.
        """
        required = required_names(schema)
        marked = [(text, key in required) for text, key in members]
        num_optional = sum(not is_required for _, is_required in marked)
        check_num_optional(num_optional, param="tools")
        some, _ = self._some_and_more(marked)
        return some if num_optional < len(members) else f"({some} | )"

    def _new_name(self) -> str:
        self._num_names += 1
        return f"r{self._num_names}"

    def _add(self, rule: str) -> None:
        self._lines.append(rule)
        self._num_chars += len(rule)
        check_length(self._num_chars)

    def _typed(self, schema: dict[str, Any], root: Mapping[str, Any], depth: int) -> str:
        kind = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(kind, list) and (kinds := [name for name in _KINDS if name in kind]):
            return self._any_of([schema | {"type": one} for one in kinds], root, depth)
        if kind == "array":
            return self._array(schema, root, depth)
        if kind == "object":
            return self._object(schema, root, depth)
        if kind in ("integer", "number") and _BOUNDS & schema.keys():
            return self._json(schema, _BOUNDS)
        if kind == "string":
            return self._string(schema)
        return _TYPES.get(str(kind), "any_value")

    def _json(self, schema: Mapping[str, Any], keywords: set[str]) -> str:
        """Expression for a number or string with some keywords: JSON and Python spell it alike."""
        name = self._new_name()
        kept = {key: schema[key] for key in ["type", *sorted(keywords & schema.keys())]}
        self._add(f"{name}: %json {json.dumps(kept)}")
        return name

    def _string(self, schema: Mapping[str, Any]) -> str:
        if "pattern" in schema:
            return self._json(schema, {"pattern", *_LENGTHS})
        if schema.get("format") in _FORMATS:
            return self._json(schema, {"format", *_LENGTHS})
        least, most = count_range(schema, "minLength", "maxLength", limit=_MAX_COUNTED_CHARS)
        if not least and most is None:
            return "ANY_STRING"
        times = _times(least, most)
        name = self._new_name().upper()
        self._add(f"{name}: {_STRING % (times, times)}")
        return name

    def _any_of(self, schemas: list[Any], root: Mapping[str, Any], depth: int) -> str:
        others = [one for one in schemas if not self._leads_back(one)]  # itself adds nothing
        return "(" + " | ".join(self.value(o, root, depth + 1) for o in others or schemas) + ")"

    def _leads_back(self, schema: object) -> bool:
        """Whether ``schema`` refers to what it is reached through."""
        ref = schema.get("$ref") if isinstance(schema, dict) else None
        return isinstance(ref, str) and ref in self._open

    def _reference(self, ref: str, root: Mapping[str, Any], depth: int) -> str:
        if ref in self._open:
            message = f"$ref {ref!r} leads back to itself: no value can fit it"
            raise InvalidRequestError(message, param="tools")
        if ref not in self._known:
            self._known[ref] = name = self._new_name()
            outer, self._open = self._open, self._open | {ref}
            self._add(f"{name}: {self.value(resolve(ref, root), root, depth + 1)}")
            self._open = outer
        return self._known[ref]

    def _part(self, schema: object, root: Mapping[str, Any], depth: int) -> str:
        """Expression for a part of an array or object, which may be like the whole."""
        outer, self._open = self._open, frozenset()
        value = self.value(schema, root, depth + 1)
        self._open = outer
        return value

    def _array(self, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
        item = self._part(schema.get("items"), root, depth)
        least, most = count_range(schema, "minItems", "maxItems", limit=_MAX_COUNTED_ITEMS)
        name = self._new_name()
        if most == 0:
            self._add(f'{name}: "[" "]"')
            return name
        more = f'(", " {item})' + _times(max(least - 1, 0), None if most is None else most - 1)
        some = f'"[" {item} {more if most != 1 else ""} "]"'
        self._add(f"{name}: {some}" if least else f'{name}: "[" "]" | {some}')
        return name

    def _object(self, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not properties:
            return self._map(schema.get("additionalProperties"), root, depth)
        members = [
            (f'{literal(key)} ": " {self._part(value, root, depth)}', key)
            for key, value in properties.items()
        ]
        return f'("{{" {self.sequence(members, schema)} "}}")'

    def _map(self, values: object, root: Mapping[str, Any], depth: int) -> str:
        """Expression for an object of any keys, whose ``values`` have a schema."""
        if values is False:
            return '"{" "}"'
        if not isinstance(values, dict):
            return "any_object"
        pair, name = f'ANY_STRING ": " {self._part(values, root, depth)}', self._new_name()
        self._add(f'{name}: "{{" "}}" | "{{" {pair} (", " {pair})* "}}"')
        return name

    def _some_and_more(self, members: list[tuple[str, bool]]) -> tuple[str, str]:
        """Rules for at least one of ``members``, and for those that follow earlier ones.

        ``members`` are pairs: an expression, and whether it is required.
        """
        some, more = self._new_name(), self._new_name()
        if len(members) == 1:
            ((text, is_required),) = members
            self._add(f"{some}: {text}")
            self._add(f'{more}: ", " {some}' + ("" if is_required else " | "))
            return some, more
        half = len(members) // 2
        first, first_more = self._some_and_more(members[:half])
        last, last_more = self._some_and_more(members[half:])
        may_begin_later = not any(is_required for _, is_required in members[:half])
        self._add(f"{some}: {first} {last_more}" + (f" | {last}" if may_begin_later else ""))
        self._add(f"{more}: {first_more} {last_more}")
        return some, more


def check_length(num_chars: int) -> None:
    """Check the length of the grammars of a request's calls.

    Raises:
        InvalidRequestError: they are too long together.
    """
    if num_chars > MAX_CHARS:
        message = f"the schemas of tools make grammars of over {MAX_CHARS} characters"
        raise InvalidRequestError(f"{message}: use fewer or simpler ones", param="tools")


def literal(value: object) -> str:
    """Expression for a JSON value as Python spells it; a string in either kind of quotes."""
    if isinstance(value, str):
        body = repr(value + '"')[1:-2]  # the quote makes repr choose the other kind
        single = f"'{body}'"
        double = '"' + body.replace("\\'", "'").replace('"', '\\"') + '"'
        return f"({quoted(single)} | {quoted(double)})"
    return quoted(repr(value))


def quoted(text: str) -> str:
    """``text`` as a string of Lark."""
    return json.dumps(text, ensure_ascii=False)


def _times(least: int, most: int | None) -> str:
    """How often something is repeated, as Lark and regular expressions spell it."""
    return f"{{{least},{'' if most is None else most}}}"
