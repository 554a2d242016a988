"""Grammars that constrain a reply to what its request asks for, in llguidance's dialect of Lark.

A reply is one or more parts with ``<|assistant|>`` between them: prose, JSON, or the call of a
tool, which begins with its name. A call's arguments follow their JSON schema in ChatGLM3's own
form, Python keywords:

    get_weather
    ```python
    tool_call(city='北京', days=3, units=['c', 'f'], **{'file-path': 'a.txt'})
    ```

Arguments come in the order of the schema, required ones always; those whose names are no Python
names follow ``**``, each in an object of its own, and so do all together where the schema has
keywords beyond properties. White space is fixed. Values are Python literals or JSON, as
``chatglm3.tools`` parses them.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from glm3edge.chatglm3.enforceable import EnforceableSchema
from glm3edge.chatglm3.grammar_rules import Rules, literal, needs_json, quoted
from glm3edge.chatglm3.tools import is_argument_name
from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.errors import InvalidRequestError
from glm3edge.limits import MAX_SCHEMA_CHARS
from glm3edge.schema.chat import INTERPRETER, Tool

_ANY_TEXT = "/(?s:.*)/"
_SPACE = r"[[^\S\n]\x1c-\x1f]"  # what Python's strip() removes, without the line's end
_CODE = r"/ ?```python\n(?s:.*)\n```/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyForm:
    """What a reply may be.

    Attributes:
        tools: tools that it may call.
        must_call: whether it has to be a call, of one tool.
        may_call_again: whether it may have more than one call.
        json_schema: schema of the JSON that it has to be where it is no call; None for prose.
        is_strict: whether ``json_schema`` is refused where it cannot be enforced as a whole.
    """

    tools: Sequence[Tool] = ()
    must_call: bool = False
    may_call_again: bool = True
    json_schema: dict[str, Any] | None = None
    is_strict: bool = True


def reply_grammar(
    form: ReplyForm, *, special: SpecialTokens, compile_: Callable[[str], object] | None = None
) -> str:
    """Grammar of a whole reply, with the role's tag that may end it.

    Args:
        form: what the reply may be.
        special: tokens between a reply's parts, and at its end.
        compile_: see ``EnforceableSchema``.

    Raises:
        InvalidRequestError: a schema is too large, or has to be enforced and cannot be.
    """
    rules = Rules()
    calls = [(tool.function.name, _body(tool, rules, compile_, form)) for tool in form.tools]
    if form.must_call:
        texts = [f'{quoted(name)} "\\n" {body}' for name, body in calls]
        return f"start: / ?/ ({' | '.join(texts)}) {_end(special)}\n{rules.text}"
    lines = []
    for number, (name, _) in enumerate(calls):
        lines.append(rf"NAME{number}: /[ \t]*{_escaped(name)}[ \t]*\n/")
    if calls:
        texts = [f"NAME{number} {body}" for number, (_, body) in enumerate(calls)]
        lines.append(f"call: {' | '.join(texts)}")
    again = f"<[{special.assistant}]>"
    if form.json_schema is not None:
        lines.append(f"value: {_json(form.json_schema, compile_, form)}")
        start = r"/[ \t]*\n? ?/ value | call" if calls else "/ ?/ value"
        start += f" ({again} call)*" if calls and form.may_call_again else ""
    else:
        lines.append(_prose([name for name, _ in calls]))
        if form.may_call_again:
            start = f"(PROSE | call) ({again} (PROSE | call))*"
        else:
            start = f"PROSE ({again} PROSE)* ({again} call)? | call"
    return "\n".join([f"start: ({start}) {_end(special)}", *lines, rules.text])


def _end(special: SpecialTokens) -> str:
    """Expression for what may follow a reply: engines other than ours only know of ``</s>``."""
    return f"(<[{special.user}]> | <[{special.observation}]>)?"


def _prose(names: Sequence[str]) -> str:
    """Rule for prose: text whose first line names none of ``names``."""
    options = "|".join(map(_escaped, names))
    return rf"PROSE: {_ANY_TEXT} & ~/{_SPACE}*({options}){_SPACE}*\n(?s:.*)/"


def _body(
    tool: Tool, rules: Rules, compile_: Callable[[str], object] | None, form: ReplyForm
) -> str:
    """Expression for what follows the line with the tool's name.

    Raises:
        InvalidRequestError: its arguments have to be enforced and cannot be, or are no object.
    """
    name, root = tool.function.name, tool.function.parameters or {"properties": {}}
    if name == INTERPRETER:
        return _CODE if form.must_call else _ANY_TEXT
    schema = EnforceableSchema(root, compile_, param="tools")
    rules.begin_schema(schema)
    arguments = _arguments(name, schema, rules)
    if form.must_call or tool.function.strict:
        schema.check_is_whole(f"calls of tool {name!r}")
    return rf'/ ?/ "```python\ntool_call(" {arguments} ")\n```"'


def _arguments(name: str, schema: EnforceableSchema, rules: Rules) -> str:
    """Expression for the arguments of a call of the tool ``name``."""
    node = schema.node(schema.resolved(schema.root))
    if node is True:
        node = {}
    if node is False or "object" not in node.get("type", "object"):
        message = (
            f"the parameters of tool {name!r} are not an object: their schema needs type object"
        )
        raise InvalidRequestError(message, param="tools")
    node = node | {"type": "object"}
    if needs_json(node):
        return f'"**" {rules.value(node)}'
    if node.get("properties"):
        return rules.properties(node, _argument)
    values = node.get("additionalProperties", "properties" not in node)
    if values is False:
        return ""
    return rules.any_arguments() if values in (True, {}) else f'"**" {rules.value(node)}'


def _argument(name: str, value: str) -> str:
    """Expression for an argument of a call."""
    if is_argument_name(name):
        return f"{quoted(f'{name}=')} {value}"
    return f'"**{{" {literal(name)} ": " {value} "}}"'


def _json(root: dict[str, Any], compile_: Callable[[str], object] | None, form: ReplyForm) -> str:
    """Expression for a reply's JSON.

    Raises:
        InvalidRequestError: the schema is too large, or has to be enforced and cannot be.
    """
    if len(json.dumps(root)) > MAX_SCHEMA_CHARS:
        message = f"response_format has a schema of over {MAX_SCHEMA_CHARS} characters"
        raise InvalidRequestError(f"{message}: use a simpler one", param="response_format")
    schema = EnforceableSchema(root, compile_, param="response_format")
    text = schema.grammar(root)
    if form.is_strict:
        schema.check_is_whole("replies")
    return text


def _escaped(name: str) -> str:
    """``name`` in a regular expression of Lark."""
    return re.escape(name).replace("/", r"\/")
