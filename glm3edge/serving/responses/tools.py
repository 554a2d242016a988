"""Tools of responses as functions of chat, and the functions' calls as items."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from glm3edge.errors import InvalidRequestError
from glm3edge.schema import chat
from glm3edge.schema.response_items import CallItem, CustomToolCall, FunctionCall
from glm3edge.schema.response_tools import (
    ChosenTool,
    CustomTool,
    FunctionTool,
    GrammarInput,
    NamespaceTool,
    OfferedTool,
    TextInput,
    qualified_name,
)
from glm3edge.serving.arguments import parsed_arguments

_INPUT = "input"
"""Parameter of the function that a custom tool is to the model."""


class ToolTable:
    """The tools of a request by the names that the model knows them by."""

    def __init__(self, tools: Sequence[OfferedTool]) -> None:
        """Name the functions of ``tools``.

        Raises:
            InvalidRequestError: two tools of different namespaces or kinds have one name.
        """
        self._tools: dict[str, tuple[str | None, FunctionTool | CustomTool]] = {}
        self._functions: list[chat.Tool] = []
        for namespace, tool, function in _flattened(tools):
            known_namespace, known = self._tools.setdefault(function.name, (namespace, tool))
            if (known_namespace, known.type) != (namespace, tool.type):
                message = f"tools: two are named {function.name!r}"
                raise InvalidRequestError(message, param="tools")
            self._functions.append(chat.Tool(type="function", function=function))

    @property
    def functions(self) -> list[chat.Tool]:
        """The tools as chat has them."""
        return self._functions

    def function_name(self, chosen: ChosenTool) -> str:
        """Name of a chosen tool's function, whether or not there is one."""
        name = chosen.qualified_name
        if name in self._tools or chosen.namespace is not None:
            return name
        found = [full for full, (_, tool) in self._tools.items() if tool.name == name]
        return found[0] if len(found) == 1 else name

    def start_call(self, call_id: str, function_name: str) -> CallItem:
        """Item of a call that has begun."""
        namespace, tool = self._tools.get(function_name, (None, None))
        name = function_name if tool is None else tool.name
        if isinstance(tool, CustomTool):
            return CustomToolCall(
                call_id=call_id, name=name, namespace=namespace, input="", status="in_progress"
            )
        return FunctionCall(
            call_id=call_id, name=name, namespace=namespace, arguments="", status="in_progress"
        )


def finish_call(call: CallItem, arguments: str) -> CallItem:
    """The item ``call`` with its function's arguments; it is incomplete if they are cut."""
    status = "completed" if _is_json(arguments) else "incomplete"
    if isinstance(call, FunctionCall):
        return call.model_copy(update={"arguments": arguments, "status": status})
    given = parsed_arguments(arguments).get(_INPUT, "")
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return call.model_copy(update={"input": text, "status": status})


def chat_call(call: CallItem) -> chat.ToolCall:
    """A call of an earlier reply, as chat has it."""
    arguments = (
        call.arguments
        if isinstance(call, FunctionCall)
        else json.dumps({_INPUT: call.input}, ensure_ascii=False)
    )
    function = chat.FunctionCall(name=call.qualified_name, arguments=arguments)
    return chat.ToolCall(id=call.call_id, function=function)


def _flattened(
    tools: Sequence[OfferedTool],
) -> Iterator[tuple[str | None, FunctionTool | CustomTool, chat.FunctionDefinition]]:
    """Each tool with its namespace and its function; the first tool of a namespace describes that,
    too."""
    for tool in tools:
        if not isinstance(tool, NamespaceTool):
            yield None, tool, _function(tool, None, about=[])
            continue
        for index, inner in enumerate(tool.tools):
            about = [tool.description] if index == 0 else []
            yield tool.name, inner, _function(inner, tool.name, about=about)


def _function(
    tool: FunctionTool | CustomTool, namespace: str | None, *, about: list[str]
) -> chat.FunctionDefinition:
    parameters, strict = (
        (tool.parameters, tool.strict)
        if isinstance(tool, FunctionTool)
        else _input_parameters(tool.format)
    )
    texts = [*about, tool.description or ""]
    if isinstance(tool, CustomTool) and isinstance(tool.format, GrammarInput):
        texts.append(f"Grammar of {_INPUT} ({tool.format.syntax}):\n{tool.format.definition}")
    return chat.FunctionDefinition(
        name=qualified_name(namespace, tool.name),
        description="\n\n".join(filter(None, texts)) or None,
        parameters=parameters,
        strict=strict,
    )


def _input_parameters(form: TextInput | GrammarInput | None) -> tuple[dict[str, Any], bool | None]:
    """Schema of a custom tool's input, and whether it must be enforced."""
    text, strict = {"type": "string"}, None
    if isinstance(form, GrammarInput) and form.syntax == "regex":
        text["pattern"], strict = f"^(?:{form.definition})$", True
    return {"type": "object", "properties": {_INPUT: text}, "required": [_INPUT]}, strict


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
