"""Chat requests in any form, translated to OpenAI's current form."""

from enum import Enum, auto

from glm3edge.chatglm3.python_types import schema_of
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import (
    ChatOptions,
    ChatRequest,
    ChosenFunction,
    FunctionDefinition,
    NamedToolChoice,
    Tool,
    ToolChoice,
)
from glm3edge.schema.legacy import ChatBody, OfficialParam, OfficialTool
from glm3edge.serving.legacy.history import chat_messages


class Form(Enum):
    """Form of a chat request, and so of its reply.

    TOOLS is OpenAI's current form, FUNCTIONS its older one, OFFICIAL that of ChatGLM3's own server.
    """

    TOOLS = auto()
    FUNCTIONS = auto()
    OFFICIAL = auto()

    @classmethod
    def of(cls, body: ChatBody) -> "Form":
        """Form of ``body``."""
        if isinstance(body.functions or body.tools, dict):
            return cls.OFFICIAL
        return cls.FUNCTIONS if body.functions else cls.TOOLS


def chat_request(body: ChatBody) -> ChatRequest:
    """Translate ``body`` to the current form. The older ones have at most one call in a reply.

    Raises:
        InvalidRequestError: forms are mixed, or messages do not belong together.
    """
    if body.functions and body.tools:
        raise InvalidRequestError("functions and tools: give one of them", param="functions")
    fields = {name: getattr(body, name) for name in ChatOptions.model_fields}
    if Form.of(body) is not Form.TOOLS:
        fields["parallel_tool_calls"] = False
    tools = _tools(body)
    choice = _tool_choice(body, tools)
    messages = chat_messages(body.messages)
    return ChatRequest.model_validate(
        {**fields, "messages": messages, "tools": tools, "tool_choice": choice}
    )


def _tools(body: ChatBody) -> list[Tool]:
    given = body.functions or body.tools or []
    if isinstance(given, dict):
        return [_official_tool(key, tool) for key, tool in given.items()]
    return [tool if isinstance(tool, Tool) else _tool(tool) for tool in given]


def _tool(function: FunctionDefinition) -> Tool:
    return Tool(type="function", function=function)


def _tool_choice(body: ChatBody, tools: list[Tool]) -> ToolChoice | None:
    wanted = body.function_call
    if wanted is None:
        return body.tool_choice
    if isinstance(wanted, ChosenFunction):
        if wanted.name not in {tool.function.name for tool in tools}:
            message = f"functions has no function {wanted.name!r}"
            raise InvalidRequestError(message, param="function_call")
        return NamedToolChoice(type="function", function=wanted)
    return wanted


def _official_tool(key: str, tool: OfficialTool) -> Tool:
    parameters = _parameters(tool.params) if tool.params else tool.parameters
    return _tool(
        FunctionDefinition(
            name=tool.name or key,
            description=tool.description,
            parameters=_parameters([]) if parameters is None else parameters,
        )
    )


def _parameters(params: list[OfficialParam]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {param.name: _property(param) for param in params},
        "required": [param.name for param in params if param.required],
    }


def _property(param: OfficialParam) -> dict[str, object]:
    schema = schema_of(param.type or "")
    return {"description": param.description, **schema} if param.description else schema
