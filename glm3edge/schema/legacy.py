"""Body of POST /v1/chat/completions: OpenAI's current form, and two older ones.

- OpenAI's ``functions`` and ``function_call``, with results in messages of the role ``function``.
- ``tools`` or ``functions`` as one object, as ChatGLM3's official server takes them
  (``tool_register.py`` of its demos):
  ``{name: {"name", "description", "params": [{"name", "description", "type", ...}]}}``.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from glm3edge.schema.base import RequestModel
from glm3edge.schema.chat import (
    ChatOptions,
    ChosenFunction,
    FunctionCall,
    FunctionDefinition,
    MessageFields,
    Tool,
    ToolChoice,
    ToolName,
)


class BodyMessage(MessageFields):
    """A message, with calls and results in the current form or the older one."""

    role: Literal["system", "developer", "user", "assistant", "tool", "observation", "function"]
    function_call: FunctionCall | None = None


class OfficialParam(RequestModel):
    """A parameter of a tool; ``type`` is a Python annotation, such as ``tuple[int, int]``."""

    name: ToolName
    description: str | None = None
    type: str | None = None
    required: bool | None = None


class OfficialTool(RequestModel):
    """A tool as clients of the official server describe it; its name is its key by default.

    Some give OpenAI's ``parameters``, a JSON schema, in place of ``params``.
    """

    name: ToolName | None = None
    description: str | None = None
    params: list[OfficialParam] | None = None
    parameters: dict[str, Any] | None = None


def _tools_tag(tools: object) -> str:
    return "<official>" if isinstance(tools, dict) else "<list>"


def _function_call_tag(choice: object) -> str:
    return "<word>" if isinstance(choice, str) else "<function>"


OfficialTools = Annotated[dict[ToolName, OfficialTool], Tag("<official>")]
BodyTools = Annotated[
    Annotated[list[Tool], Tag("<list>")] | OfficialTools, Discriminator(_tools_tag)
]
BodyFunctions = Annotated[
    Annotated[list[FunctionDefinition], Tag("<list>")] | OfficialTools, Discriminator(_tools_tag)
]
FunctionCallOption = Annotated[
    Annotated[Literal["none", "auto"], Tag("<word>")]
    | Annotated[ChosenFunction, Tag("<function>")],
    Discriminator(_function_call_tag),
]


class ChatBody(ChatOptions):
    """A request for a chat completion, in any form."""

    messages: Annotated[list[BodyMessage], Field(min_length=1)]
    tools: BodyTools | None = None
    tool_choice: ToolChoice | None = None
    functions: BodyFunctions | None = None
    function_call: FunctionCallOption | None = None
