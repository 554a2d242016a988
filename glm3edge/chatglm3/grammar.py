"""Grammars that constrain a reply to a call or to JSON, in llguidance's dialect of Lark.

A call's arguments follow their JSON schema in ChatGLM3's own form, Python keywords:

    ```python
    tool_call(city='北京', days=3, units=['c', 'f'], **{'file-path': 'a.txt'})
    ```

Arguments come in the order of the schema, required ones always; those whose names are no Python
names follow ``**``, each in an object of its own. White space is fixed. Values are Python literals,
as ``chatglm3.tools`` parses them.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from glm3edge.chatglm3.grammar_rules import UNSUPPORTED, Rules, literal, quoted
from glm3edge.chatglm3.json_schema import bounded, closed, resolve_root
from glm3edge.chatglm3.tools import is_argument_name
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import INTERPRETER, Tool

_MAX_SCHEMA_CHARS = 2**17
"""Of a schema that llguidance reads itself: a second to compile, as the square of the length."""
_LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def call_grammar(tool: Tool) -> str | None:
    """Grammar of what follows a tool's name; None where nothing is known of its arguments.

    Raises:
        InvalidRequestError: the tool is strict, and its schema has keywords that cannot be
            enforced.
    """
    rules = Rules()
    body = _call(tool, rules)
    return None if body is None else f"start: {body}\n{rules.text}"


def required_grammar(tools: Iterable[Tool]) -> str:
    """Grammar of a whole reply that is a call of one of ``tools``.

    Raises:
        InvalidRequestError: as ``call_grammar()`` does.
    """
    rules = Rules()
    calls = []
    for tool in tools:
        body = _call(tool, rules)
        if tool.function.name == INTERPRETER:
            body = r'/ ?/ "```python\n" /(.|\n)*/ "\n```"'
        elif body is None:
            body = _fenced(rules.any_arguments())
        calls.append(f"{quoted(tool.function.name)} {quoted(chr(10))} {body}")
    return f"start: / ?/ ({' | '.join(calls)})\n{rules.text}"


def json_grammar(schema: Mapping[str, Any] | None) -> str:
    """Grammar of a whole reply that is nothing but JSON, of a schema or any object.

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
    wanted = {"type": "object"} if schema is None else dict(bounded(closed(schema)))
    wanted["x-guidance"] = _LAYOUT
    return f"start: / ?/ value\nvalue: %json {json.dumps(wanted)}\n"


def _call(tool: Tool, rules: Rules) -> str | None:
    """Expression for a call's code block; None where its arguments could be anything."""
    root = tool.function.parameters
    if tool.function.name == INTERPRETER or root is None:
        return None
    rules.begin_schema()
    schema = resolve_root(root)
    arguments = None if schema is None else _arguments(schema, root, rules)
    if tool.function.strict and (rules.unsupported or arguments is None):
        what = (
            ", ".join(sorted(rules.unsupported))
            or "parameters that are no object of named properties"
        )
        text = f"tool {tool.function.name!r} is strict, but calls cannot be constrained to {what}"
        raise InvalidRequestError(f"{text}: use a simpler schema, or no strict", param="tools")
    return None if arguments is None else _fenced(arguments)


def _arguments(schema: Mapping[str, Any], root: Mapping[str, Any], rules: Rules) -> str | None:
    """Expression for the arguments; None where they could be anything."""
    properties = schema.get("properties")
    rules.unsupported |= schema.keys() & {*UNSUPPORTED, "anyOf", "oneOf"}
    if not properties:
        is_open = rules.unsupported or schema.get("additionalProperties") or schema.get("required")
        return None if is_open else ""
    if not isinstance(properties, dict):
        return None
    members = [
        (_argument(name, rules.value(value, root)), name) for name, value in properties.items()
    ]
    return rules.sequence(members, schema)


def _argument(name: str, value: str) -> str:
    """Expression for an argument of a call."""
    if is_argument_name(name):
        return f"{quoted(f'{name}=')} {value}"
    return f'"**{{" {literal(name)} ": " {value} "}}"'


def _fenced(arguments: str) -> str:
    """Expression for a code block with a call of these arguments."""
    return rf'/ ?/ "```python\ntool_call(" {arguments} ")\n```"'
