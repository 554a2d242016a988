"""Text of tools and calls: the system turn that offers tools, calls to JSON and back.

A call is Python: ``tool_call(city="北京", days=3)`` in a code block. It is parsed with ``ast`` and
only literals are accepted. Nothing a model writes is ever evaluated.
"""

import ast
import io
import itertools
import json
import keyword
import tokenize
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from glm3edge.limits import MAX_ARGUMENT_CHARS
from glm3edge.schema.chat import INTERPRETER, Tool

_SYSTEM_HEAD = (
    "Answer the following questions as best as you can. You have access to the following tools:\n"
)
_JSON_NAMES = {"true": True, "false": False, "null": None}
_ESCAPE = "__keyword"  # appended to an argument name that Python reserves, such as from


def system_text(tools: Sequence[Tool]) -> str:
    """Text of the system turn that offers ``tools``, as the official tool demo words it."""
    definitions = [
        {
            "name": tool.function.name,
            "description": tool.function.description or "",
            "parameters": tool.function.parameters or {"type": "object", "properties": {}},
        }
        for tool in tools
    ]
    return _SYSTEM_HEAD + json.dumps(definitions, indent=4, ensure_ascii=False)


def parse_call(name: str, content: str) -> str:
    """Arguments of a call as a JSON object.

    Args:
        name: the tool; for ``interpreter`` the content is code, not a call.
        content: what followed the metadata line: a code block, or bare code.

    Raises:
        ValueError: it is no ``tool_call(key=literal, ...)``, or not expressible in JSON.
    """
    code = _code_of(content)
    arguments = {"code": code} if name == INTERPRETER else _keyword_literals(code)
    text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: legal in JSON as an escape only
        text = json.dumps(arguments, allow_nan=False)
    return text


def call_text(name: str, arguments: str) -> str:
    """Content of an assistant turn that makes a call: the reverse of ``parse_call``.

    Raises:
        ValueError: ``arguments`` is no JSON object, or too long to be parsed.
    """
    if len(arguments) > MAX_ARGUMENT_CHARS:
        raise ValueError(f"the arguments of {name} are too long")
    try:
        values = json.loads(arguments or "{}")
        if not isinstance(values, dict):
            raise ValueError(f"the arguments of {name} are not a JSON object")
        if name == INTERPRETER and isinstance(values.get("code"), str):
            return f"```python\n{values['code']}\n```"
        return f"```python\ntool_call({_keywords_text(values)})\n```"
    except RecursionError as exc:
        raise ValueError(f"the arguments of {name} are nested too deeply") from exc


def cut_call_text(name: str, arguments: str) -> str:
    """Content of an assistant turn whose ``arguments`` are no JSON object, such as those of a call
    that was cut off: the text as it is."""
    return f"```python\n{arguments if name == INTERPRETER else f'tool_call({arguments})'}\n```"


def is_argument_name(key: str) -> bool:
    """Whether ``key=value`` in a call is read back as it is: Python normalizes identifiers.

    ``from`` and the like are read back too, though they are no names in Python.
    """
    is_name = key.isidentifier() and unicodedata.normalize("NFKC", key) == key
    return is_name and _unescaped(key) == key


def _keywords_text(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{key}={value!r}" if is_argument_name(key) else f"**{ {key: value}!r}"
        for key, value in values.items()
    )


def _code_of(content: str) -> str:
    """Code in the code block ``content``, or ``content`` if it is no code block."""
    text = content.strip()
    if text.startswith("```"):
        _, _, text = text.partition("\n")
        text = text.rstrip().removesuffix("```")
    return text.strip("\n")


def _keyword_literals(code: str) -> dict[str, Any]:
    if len(code) > MAX_ARGUMENT_CHARS:
        raise ValueError(f"a call of {len(code)} characters is too long")
    try:
        return _call_keywords(_parse_expression(code.strip()))
    except (SyntaxError, tokenize.TokenError, RecursionError, MemoryError) as exc:
        raise ValueError(f"not a tool call: {exc}") from exc


def _parse_expression(code: str) -> ast.expr:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in a string is no concern of ours
        try:
            return ast.parse(code, mode="eval").body
        except SyntaxError:
            return ast.parse(_escape_keywords(code), mode="eval").body


def _escape_keywords(code: str) -> str:
    """``from="a"`` is a fine argument of a tool and a syntax error in Python: rename it."""
    ends: defaultdict[int, list[int]] = defaultdict(list)  # row -> where keywords end
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    for token, following in itertools.pairwise(tokens):
        if keyword.iskeyword(token.string) and following.string == "=":
            row, column = token.end
            ends[row - 1].append(column)
    lines = code.split("\n")  # as StringIO does; splitlines() knows more line ends
    for row, columns in ends.items():
        cuts = itertools.pairwise([0, *columns, len(lines[row])])
        lines[row] = _ESCAPE.join(lines[row][start:end] for start, end in cuts)
    return "\n".join(lines)


def _call_keywords(node: ast.expr) -> dict[str, Any]:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise ValueError("not a tool call")
    if node.func.id != "tool_call" or node.args:
        raise ValueError("a tool call is tool_call(...) with keyword arguments only")
    arguments: dict[str, Any] = {}
    for argument in node.keywords:
        if argument.arg is not None:
            values = {_unescaped(argument.arg): _literal(argument.value)}
        elif isinstance(argument.value, ast.Dict):
            values = _literal(argument.value)
        else:
            raise ValueError("what follows ** in a tool call must be a literal object")
        if repeated := arguments.keys() & values.keys():
            raise ValueError(f"a tool call repeats an argument: {min(repeated)}")
        arguments |= values
    return arguments


def _unescaped(name: str) -> str:
    stem = name.removesuffix(_ESCAPE)
    return stem if keyword.iskeyword(stem) else name


def _literal(node: ast.expr) -> Any:
    """JSON value of a literal."""
    match node:
        case ast.Constant(value=str() | int() | float() | bool() | None as value):
            return value
        case ast.Name(id=("true" | "false" | "null") as name):
            return _JSON_NAMES[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant() as operand):
            return _signed(sign, operand.value)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_key(k): _literal(v) for k, v in zip(keys, values, strict=True)}
    raise ValueError(f"an argument is not a literal: {type(node).__name__}")


def _signed(sign: ast.unaryop, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a sign needs a number")
    return -value if isinstance(sign, ast.USub) else value


def _key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise ValueError("an object's keys must be strings")
