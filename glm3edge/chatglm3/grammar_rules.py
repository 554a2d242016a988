"""Grammar rules for Python literals that follow JSON schemas, in llguidance's dialect of Lark."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from glm3edge.chatglm3.enforceable import APPLICATORS, EnforceableSchema
from glm3edge.chatglm3.json_schema import check_num_optional, count_range, required_names
from glm3edge.errors import InvalidRequestError
from glm3edge.limits import MAX_GRAMMAR_CHARS

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
_MAX_DEPTH, _MAX_COUNTED_CHARS, _MAX_COUNTED_ITEMS = 32, 4096, 256


class Rules:
    """Rules of one grammar, added as they are needed.

    Methods return expressions that may stand on the right side of a rule.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._num_chars = 0
        self._num_names = 0
        self._known: dict[str, tuple[str, dict[str, str]]] = {}  # $ref -> rule, dropped there
        self._uses_any_arguments = False
        self._schema: EnforceableSchema

    @property
    def text(self) -> str:
        """All rules but ``start``."""
        lines = [*self._lines, _ANY_ARGUMENTS] if self._uses_any_arguments else self._lines
        return _HEAD + "\n".join(lines) + "\n"

    def begin_schema(self, schema: EnforceableSchema) -> None:
        """Begin another schema, whose references are its own."""
        self._known = {}
        self._schema = schema

    def any_arguments(self) -> str:
        """Expression for any arguments of a call."""
        self._uses_any_arguments = True
        return "any_arguments"

    def value(self, schema: object, depth: int = 0) -> str:
        """Expression for a value of ``schema``.

        It is a literal of Python; where the schema has keywords that no rule here is for, it is
        JSON, which ``chatglm3.tools`` and ``chatglm3.call_stream`` read as well.

        Raises:
            InvalidRequestError: the grammar becomes too long.
        """
        node = self._schema.node(schema)
        if node is True or node == {}:
            return "any_value"
        if node is False or depth > _MAX_DEPTH or needs_json(node):
            return self._json(schema)
        return self._literal(node, depth)

    def properties(
        self, node: Mapping[str, Any], spell: Callable[[str, str], str], depth: int = 0
    ) -> str:
        """Expression for an object's properties in order, with commas between.

        Args:
            node: the object's schema; says which properties are required.
            spell: makes an expression of a property's name and that of its value.
            depth: of the object in its schema.

        Raises:
            InvalidRequestError: too many are optional.
        """
        required = required_names(node)
        members = [
            (spell(name, self.value(value, depth + 1)), name in required)
            for name, value in self._schema.properties(node).items()
            if value is not False or name in required
        ]
        num_optional = sum(not is_required for _, is_required in members)
        check_num_optional(num_optional, param="tools")
        if not members:
            return ""
        some, _ = self._some_and_more(members)
        return some if num_optional < len(members) else f"({some} | )"

    def _literal(self, node: dict[str, Any], depth: int) -> str:
        if "$ref" in node:
            return self._reference(node["$ref"], depth)
        if "const" in node:
            return literal(node["const"])
        if "enum" in node:
            kinds = node.get("type", list(_KINDS))
            return self._either(literal(v) for v in node["enum"] if _has_type(v, kinds))
        if APPLICATORS & node.keys():
            name = self._new_name()  # llguidance takes some 40 levels of parentheses
            ((_, options),) = node.items()
            self._add(f"{name}: {self._any_of(options, depth)}")
            return name
        return self._typed(node, depth)

    def _new_name(self) -> str:
        self._num_names += 1
        return f"r{self._num_names}"

    def _add(self, rule: str) -> None:
        self._lines.append(rule)
        self._num_chars += len(rule)
        if self._num_chars > MAX_GRAMMAR_CHARS:
            message = f"the schemas of tools make grammars of over {MAX_GRAMMAR_CHARS} characters"
            raise InvalidRequestError(f"{message}: use fewer or simpler ones", param="tools")

    def _typed(self, node: dict[str, Any], depth: int) -> str:
        kind = _kind(node)
        if isinstance(kind, list):
            return self._any_of([node | {"type": one} for one in kind], depth)
        if kind == "array":
            return self._array(node, depth)
        if kind == "object":
            return self._object(node, depth)
        if kind in ("integer", "number") and _BOUNDS & node.keys():
            return self._json(node)  # which Python spells alike
        if kind == "string":
            return self._string(node)
        return _TYPES[kind]

    def _json(self, schema: object) -> str:
        name = self._new_name()
        self._add(f"{name}: {self._schema.grammar(schema)}")
        return name

    def _string(self, node: Mapping[str, Any]) -> str:
        if {"pattern", "format"} & node.keys():
            return self._json(node)
        least, most = count_range(node, "minLength", "maxLength")
        if not least and most is None:
            return "ANY_STRING"
        times = _times(least, most)
        name = self._new_name().upper()
        self._add(f"{name}: {_STRING % (times, times)}")
        return name

    def _any_of(self, schemas: list[Any], depth: int) -> str:
        return self._either(self._schema.options(schemas, lambda one: self.value(one, depth + 1)))

    def _either(self, options: Iterable[str]) -> str:
        text = " | ".join(options)
        return f"({text})" if text else self._json(False)

    def _reference(self, ref: str, depth: int) -> str:
        if ref not in self._known:
            name = self._new_name()
            self._known[ref] = name, {}  # until it is known: it may refer to itself
            with self._schema.recording() as dropped:
                target = self._schema.resolved({"$ref": ref})
                self._add(f"{name}: {self.value(target, depth + 1)}")
            self._known[ref] = name, dropped
        name, dropped = self._known[ref]
        self._schema.dropped |= dropped
        return name

    def _array(self, node: Mapping[str, Any], depth: int) -> str:
        item = self.value(node.get("items", {}), depth + 1)
        least, most = count_range(node, "minItems", "maxItems")
        name = self._new_name()
        if most == 0:
            self._add(f'{name}: "[" "]"')
            return name
        more = f'(", " {item})' + _times(max(least - 1, 0), None if most is None else most - 1)
        some = f'"[" {item} {more if most != 1 else ""} "]"'
        self._add(f"{name}: {some}" if least else f'{name}: "[" "]" | {some}')
        return name

    def _object(self, node: Mapping[str, Any], depth: int) -> str:
        if not node.get("properties"):
            return self._map(node.get("additionalProperties", True), depth)
        pairs = self.properties(node, lambda key, value: f'{literal(key)} ": " {value}', depth)
        return f'("{{" {pairs} "}}")'

    def _map(self, values: object, depth: int) -> str:
        """Expression for an object of any keys, whose ``values`` have a schema."""
        if values is False:
            return '"{" "}"'
        pair, name = f'ANY_STRING ": " {self.value(values, depth + 1)}', self._new_name()
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


def needs_json(node: Mapping[str, Any]) -> bool:
    """Whether no rule here is for a schema's ``node``, so that its values have to be JSON."""
    applied = APPLICATORS & node.keys()
    if applied:
        others = node.keys() - applied - ({"type"} if "enum" in applied else set())
        return len(applied) > 1 or "allOf" in applied or bool(others)
    kind = _kind(node)
    return any(map(partial(_kind_needs_json, node), kind if isinstance(kind, list) else [kind]))


def _kind_needs_json(node: Mapping[str, Any], kind: str | None) -> bool:
    match kind:
        case None:
            return True
        case "object":
            properties = node.get("properties", {})
            return (
                bool({"patternProperties", "minProperties", "maxProperties"} & node.keys())
                or bool(required_names(node) - properties.keys())
                or bool(properties and isinstance(node.get("additionalProperties"), dict))
            )
        case "array":
            least, most = count_range(node, "minItems", "maxItems")
            is_list = isinstance(node.get("items", {}), dict) and "prefixItems" not in node
            return not (is_list and _is_countable(least, most, _MAX_COUNTED_ITEMS))
        case "string":
            least, most = count_range(node, "minLength", "maxLength")
            return not _is_countable(least, most, _MAX_COUNTED_CHARS)
    return False


def _is_countable(least: int, most: int | None, limit: int) -> bool:
    """Whether rules can count from ``least`` to ``most``: llguidance sees to what has no value."""
    return least <= (least if most is None else most) <= limit


def _kind(node: Mapping[str, Any]) -> Any:
    """The type or types of ``node``; None if they are not known."""
    return node.get("type", "object" if "properties" in node else None)


def _has_type(value: object, kinds: object) -> bool:
    """Whether a JSON value has a type, or one of several; None stands for all."""
    names = kinds if isinstance(kinds, list) else [kinds]
    match value:
        case None:
            return "null" in names
        case bool():
            return "boolean" in names
        case int():
            return "number" in names or "integer" in names
        case float():
            return "number" in names or ("integer" in names and value.is_integer())
        case str():
            return "string" in names
    return ("array" if isinstance(value, list) else "object") in names


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
