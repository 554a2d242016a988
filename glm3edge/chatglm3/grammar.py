"""Grammars that a reply is held to, in llguidance's dialect of Lark.

A call's arguments follow their JSON schema in ChatGLM3's own form, Python keywords:

    ```python
    tool_call(city='北京', days=3, units=['c', 'f'], **{'file-path': 'a.txt'})
    ```

Arguments come in the order of the schema, required ones always; those whose names are no Python
names follow ``**``, each in an object of its own. White space is fixed. Values are Python literals,
as ``chatglm3.tools`` parses them.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from glm3edge.chatglm3.tools import is_argument_name
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import INTERPRETER, Tool

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
_MOST_CHARACTERS, _MOST_ITEMS = 4096, 256
"""Beyond these the length of strings and arrays is not counted."""
_FORMATS = {
    *("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"),
}
"""Those that llguidance knows; others say nothing that could be held."""
_UNHELD = {
    *("allOf", "not", "if", "then", "else", "patternProperties", "propertyNames", "contains"),
    *("minContains", "maxContains", "uniqueItems", "minProperties", "maxProperties"),
    *("prefixItems", "dependentRequired", "dependentSchemas"),
    *("unevaluatedProperties", "unevaluatedItems"),
}
"""Keywords of JSON schema that a call is not held to."""
_NAMED_SCHEMAS = {"properties", "$defs", "definitions"}
_SCHEMAS = {"items", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties"}
_OTHER_PARTS = {"anyOf", "oneOf", "$ref", "if", "not", "dependentSchemas"}
_MORE_PROPERTIES = {"additionalProperties", "patternProperties", "unevaluatedProperties"}
_LEAST, _MOST = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
_WIDEST = 10**18 - 1
_LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_MAX_DEPTH = 32
_MAX_CHARS = 2**20
"""Of all that the calls of a request are held to: a second to compile. References to one place
under many names can make it much longer than its schemas."""
_MAX_SCHEMA_CHARS = 2**17
"""Of a schema that llguidance reads itself: a second to compile, as the square of the length."""
_MAX_OPTIONAL = 2000
"""Properties of an object that need not be there: llguidance gives up in mid-reply where too many
could come next; see ``llama.guidance``."""


def check_length(num_chars: int) -> None:
    """Look at the length of the grammars of a request's calls.

    Raises:
        InvalidRequestError: they are too long together.
    """
    if num_chars > _MAX_CHARS:
        message = f"the schemas of tools make grammars of over {_MAX_CHARS} characters"
        raise InvalidRequestError(f"{message}: use fewer or simpler ones", param="tools")


def call_grammar(tool: Tool) -> str | None:
    """What may follow a tool's name; None where nothing is known of its arguments.

    Raises:
        InvalidRequestError: the tool is strict, and its schema has what a call cannot be held to.
    """
    rules = _Rules()
    body = _call(tool, rules)
    return None if body is None else f"start: {body}\n{rules.text}"


def required_grammar(tools: Iterable[Tool]) -> str:
    """A whole reply that is a call of one of ``tools``."""
    rules = _Rules()
    calls = []
    for tool in tools:
        body = _call(tool, rules)
        if tool.function.name == INTERPRETER:
            body = r'/ ?/ "```python\n" /(.|\n)*/ "\n```"'
        elif body is None:
            body = _fenced("any_arguments", rules)
        calls.append(f"{_quoted(tool.function.name)} {_quoted(chr(10))} {body}")
    return f"start: / ?/ ({' | '.join(calls)})\n{rules.text}"


def json_grammar(schema: Mapping[str, Any] | None) -> str:
    """A whole reply that is prose and nothing but JSON, of a schema or any object.

    Integers have 18 digits at the most unless their bounds say otherwise, as in calls: a reply
    could end within one.

    Where a schema leaves open whether an object may have more properties than it names, there are
    none: a model that has said what was asked for would go on to make some up.

    Raises:
        InvalidRequestError: the schema is too large.
    """
    if len(json.dumps(schema)) > _MAX_SCHEMA_CHARS:
        message = f"response_format has a schema of over {_MAX_SCHEMA_CHARS} characters"
        raise InvalidRequestError(f"{message}: use a simpler one", param="response_format")
    wanted = {"type": "object"} if schema is None else dict(_everywhere(_closed(schema), _bound))
    wanted["x-guidance"] = _LAYOUT
    return f"start: / ?/ value\nvalue: %json {json.dumps(wanted)}\n"


def _closed(schema: Any) -> Any:
    """``schema`` without further properties, unless parts add up what each of them names."""
    return schema if _adds_up(schema) else _everywhere(schema, _close)


def _adds_up(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_adds_up, schema))
    if not isinstance(schema, dict):
        return False
    is_sum = "allOf" in schema or ("properties" in schema and schema.keys() & _OTHER_PARTS)
    return bool(is_sum) or any(map(_adds_up, schema.values()))


def _everywhere(schema: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    """A copy of ``schema``, with ``change`` made to it and to the schemas within."""
    if isinstance(schema, list):
        return [_everywhere(one, change) for one in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {
        key: {name: _everywhere(one, change) for name, one in value.items()}
        if key in _NAMED_SCHEMAS and isinstance(value, dict)
        else _everywhere(value, change)
        if key in _SCHEMAS
        else value
        for key, value in schema.items()
    }
    change(copy)
    return copy


def _close(schema: dict[str, Any]) -> None:
    """Let an object have no properties but those that it names."""
    properties = schema.get("properties")
    if isinstance(properties, dict) and not schema.keys() & _MORE_PROPERTIES:
        required = schema.get("required")
        if not isinstance(required, list) or set(map(str, required)) <= properties.keys():
            schema["additionalProperties"] = False


def _bound(schema: dict[str, Any]) -> None:
    """Let an integer have no more than 18 digits, where it has no bounds of its own.

    Raises:
        InvalidRequestError: an object has too many properties.
    """
    if isinstance(properties := schema.get("properties"), dict):
        _check_optional(len(properties.keys() - _required(schema)), param="response_format")
    kind = schema.get("type")
    if not (kind == "integer" or (isinstance(kind, list) and "integer" in kind)):
        return
    if schema.keys() & {"enum", "const", "multipleOf"}:
        return
    low, high = (_given(schema, names) for names in (_LEAST, _MOST))
    if high is None and (low is None or low < _WIDEST):
        schema[_MOST[0]] = _WIDEST
    if low is None and (high is None or high > -_WIDEST):
        schema[_LEAST[0]] = -_WIDEST


def _given(schema: Mapping[str, Any], names: Iterable[str]) -> float | None:
    found = [value for name in names if isinstance(value := schema.get(name), int | float)]
    return found[0] if found else None


class _Rules:
    """The rules of a grammar, as they turn out to be needed."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._num_chars = 0
        self._num_names = 0
        self._known: dict[str, str] = {}  # $ref -> rule
        self._open: frozenset[str] = frozenset()  # $refs that the value at hand is reached through
        self._free = False
        self.unheld: set[str] = set()

    def begin(self) -> None:
        """Another schema comes, whose references are its own."""
        self._known = {}
        self.unheld = set()

    @property
    def text(self) -> str:
        """All rules but ``start``."""
        if self._free:
            self.line(
                'any_arguments: | any_argument (", " any_argument)*\n'
                r'any_argument: /[\p{L}_][\p{L}\p{Nd}_]*/ "=" any_value'
            )
            self._free = False
        return _HEAD + "\n".join(self._lines) + "\n"

    def need_free_arguments(self) -> None:
        """``any_arguments`` is used."""
        self._free = True

    def name(self) -> str:
        """A new rule's name."""
        self._num_names += 1
        return f"r{self._num_names}"

    def line(self, text: str) -> None:
        """Add a rule.

        Raises:
            InvalidRequestError: the grammar becomes too long.
        """
        self._lines.append(text)
        self._num_chars += len(text)
        check_length(self._num_chars)

    def value(self, schema: object, root: Mapping[str, Any], depth: int = 0) -> str:
        """An expression for a value of ``schema``."""
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            return "any_value"
        self.unheld |= schema.keys() & _UNHELD
        if isinstance(ref := schema.get("$ref"), str):
            return self._reference(ref, root, depth)
        if isinstance(options := schema.get("enum"), list) and options:
            return "(" + " | ".join(_literal(option) for option in options) + ")"
        if "const" in schema:
            return _literal(schema["const"])
        if isinstance(choices := schema.get("anyOf", schema.get("oneOf")), list) and choices:
            return self._any_of(choices, root, depth)
        return self._typed(schema, root, depth)

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
        """A number or a string held to some keywords, which JSON and Python spell alike."""
        name = self.name()
        held = {key: schema[key] for key in ["type", *sorted(keywords & schema.keys())]}
        self.line(f"{name}: %json {json.dumps(held)}")
        return name

    def _string(self, schema: Mapping[str, Any]) -> str:
        if "pattern" in schema:
            return self._json(schema, {"pattern", *_LENGTHS})
        if schema.get("format") in _FORMATS:
            return self._json(schema, {"format", *_LENGTHS})
        least, most = _range(schema, "minLength", "maxLength", _MOST_CHARACTERS)
        if not least and most is None:
            return "ANY_STRING"
        times = _times(least, most)
        name = self.name().upper()
        self.line(f"{name}: {_STRING % (times, times)}")
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
            self._known[ref] = name = self.name()
            outer, self._open = self._open, self._open | {ref}
            self.line(f"{name}: {self.value(_resolved(ref, root), root, depth + 1)}")
            self._open = outer
        return self._known[ref]

    def _part(self, schema: object, root: Mapping[str, Any], depth: int) -> str:
        """An expression for a part of an array or object, which may be like the whole."""
        outer, self._open = self._open, frozenset()
        value = self.value(schema, root, depth + 1)
        self._open = outer
        return value

    def _array(self, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
        item = self._part(schema.get("items"), root, depth)
        least, most = _range(schema, "minItems", "maxItems", _MOST_ITEMS)
        name = self.name()
        if most == 0:
            self.line(f'{name}: "[" "]"')
            return name
        more = f'(", " {item})' + _times(max(least - 1, 0), None if most is None else most - 1)
        some = f'"[" {item} {more if most != 1 else ""} "]"'
        self.line(f"{name}: {some}" if least else f'{name}: "[" "]" | {some}')
        return name

    def _object(self, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not properties:
            return self._map(schema.get("additionalProperties"), root, depth)
        members = [
            (f'{_literal(key)} ": " {self._part(value, root, depth)}', key)
            for key, value in properties.items()
        ]
        return f'("{{" {self.sequence(members, schema)} "}}")'

    def _map(self, values: object, root: Mapping[str, Any], depth: int) -> str:
        """An expression for an object of any keys, whose ``values`` have a schema."""
        if values is False:
            return '"{" "}"'
        if not isinstance(values, dict):
            return "any_object"
        pair, name = f'ANY_STRING ": " {self._part(values, root, depth)}', self.name()
        self.line(f'{name}: "{{" "}}" | "{{" {pair} (", " {pair})* "}}"')
        return name

    def sequence(self, members: list[tuple[str, str]], schema: Mapping[str, Any]) -> str:
        """Expressions of ``members`` in order, with commas between; required keys are there.

        Halves of halves: llguidance walks rules recursively, and ends the process where rules lead
        from one to the next thousands of times.
        """
        required = _required(schema)
        marked = [(text, key in required) for text, key in members]
        num_optional = sum(not is_required for _, is_required in marked)
        _check_optional(num_optional, param="tools")
        some, _ = self._some_and_more(marked)
        return some if num_optional < len(members) else f"({some} | )"

    def _some_and_more(self, members: list[tuple[str, bool]]) -> tuple[str, str]:
        """Rules for what has one of ``members`` at least, and for what follows earlier ones.

        ``members`` are pairs: an expression, and whether it is required.
        """
        some, more = self.name(), self.name()
        if len(members) == 1:
            ((text, is_required),) = members
            self.line(f"{some}: {text}")
            self.line(f'{more}: ", " {some}' + ("" if is_required else " | "))
            return some, more
        half = len(members) // 2
        first, first_more = self._some_and_more(members[:half])
        last, last_more = self._some_and_more(members[half:])
        may_begin_later = not any(is_required for _, is_required in members[:half])
        self.line(f"{some}: {first} {last_more}" + (f" | {last}" if may_begin_later else ""))
        self.line(f"{more}: {first_more} {last_more}")
        return some, more


def _range(
    schema: Mapping[str, Any], least_key: str, most_key: str, limit: int
) -> tuple[int, int | None]:
    """How many at least and at most, as far as that is counted."""
    least, most = schema.get(least_key), schema.get(most_key)
    return (
        min(least, limit) if isinstance(least, int) and least > 0 else 0,
        most if isinstance(most, int) and 0 <= most <= limit else None,
    )


def _times(least: int, most: int | None) -> str:
    """How often something is repeated, as Lark and regular expressions spell it."""
    return f"{{{least},{'' if most is None else most}}}"


def _call(tool: Tool, rules: _Rules) -> str | None:
    """An expression for a call's code block."""
    root = tool.function.parameters
    if tool.function.name == INTERPRETER or root is None:
        return None
    rules.begin()
    schema = _object_at(root)
    arguments = None if schema is None else _arguments(schema, root, rules)
    if tool.function.strict and (rules.unheld or arguments is None):
        what = (
            ", ".join(sorted(rules.unheld)) or "parameters that are no object of named properties"
        )
        text = f"tool {tool.function.name!r} is strict, and no call can be held to {what}"
        raise InvalidRequestError(text, param="tools")
    return None if arguments is None else _fenced(arguments, rules)


def _object_at(root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema of the arguments, which ``root`` may only refer to."""
    schema: Any = root
    for _ in range(_MAX_DEPTH):
        if not isinstance(schema, dict):
            return None
        if not isinstance(ref := schema.get("$ref"), str):
            return schema
        schema = _resolved(ref, root)
    return None


def _arguments(schema: Mapping[str, Any], root: Mapping[str, Any], rules: _Rules) -> str | None:
    """An expression for the arguments; None where they could be anything."""
    properties = schema.get("properties")
    rules.unheld |= schema.keys() & {*_UNHELD, "anyOf", "oneOf"}
    if not properties:
        is_open = rules.unheld or schema.get("additionalProperties") or schema.get("required")
        return None if is_open else ""
    if not isinstance(properties, dict):
        return None
    members = [
        (_argument(name, rules.value(value, root)), name) for name, value in properties.items()
    ]
    return rules.sequence(members, schema)


def _fenced(arguments: str, rules: _Rules) -> str:
    if arguments == "any_arguments":
        rules.need_free_arguments()
    return rf'/ ?/ "```python\ntool_call(" {arguments} ")\n```"'


def _argument(name: str, value: str) -> str:
    """An argument of a call."""
    if is_argument_name(name):
        return f"{_quoted(f'{name}=')} {value}"
    return f'"**{{" {_literal(name)} ": " {value} "}}"'


def _check_optional(num_optional: int, *, param: str) -> None:
    """Look at how many of an object's properties need not be there.

    Raises:
        InvalidRequestError: they are too many.
    """
    if num_optional > _MAX_OPTIONAL:
        message = f"{param} has an object of {num_optional} properties that are not required"
        raise InvalidRequestError(f"{message}; at most {_MAX_OPTIONAL} can be", param=param)


def _required(schema: Mapping[str, Any]) -> set[str]:
    """Properties of an object that have to be there."""
    required = schema.get("required")
    return (
        {name for name in required if isinstance(name, str)}
        if isinstance(required, list)
        else set()
    )


def _literal(value: object) -> str:
    """A JSON value as Python spells it; a string in either kind of quotes."""
    if isinstance(value, str):
        body = repr(value + '"')[1:-2]  # the quote makes repr choose the other kind
        single = f"'{body}'"
        double = '"' + body.replace("\\'", "'").replace('"', '\\"') + '"'
        return f"({_quoted(single)} | {_quoted(double)})"
    return _quoted(repr(value))


def _quoted(text: str) -> str:
    """A string of Lark."""
    return json.dumps(text, ensure_ascii=False)


def _resolved(ref: str, root: Mapping[str, Any]) -> object:
    """What a local reference, ``#/$defs/name``, stands for.

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
            raise InvalidRequestError(f"$ref {ref!r} leads nowhere in its schema", param="tools")
        place = place[key]
    return place
