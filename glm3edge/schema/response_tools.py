"""Models of the tools of /v1/responses, and of the choice among them."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from glm3edge.schema.base import RequestModel, is_none
from glm3edge.schema.chat import MAX_TOOL_NAME, ToolName
from glm3edge.schema.checks import kind_of, refusal
from glm3edge.schema.server_tools import ServerTool, is_server_tool


def qualified_name(namespace: str | None, name: str) -> str:
    """Name by which the model knows a tool: ``namespace.name`` for one in a namespace."""
    return name if namespace is None else f"{namespace}.{name}"


def _check_length(namespace: str | None, name: str) -> None:
    if len(qualified_name(namespace, name)) > MAX_TOOL_NAME:
        raise refusal(f"namespace and name have more than {MAX_TOOL_NAME - 1} characters together")


class ToolReference(RequestModel):
    """Name of a tool, and of the namespace it is in."""

    name: ToolName
    namespace: ToolName | None = Field(default=None, exclude_if=is_none)

    @model_validator(mode="after")
    def _check_length(self) -> "ToolReference":
        _check_length(self.namespace, self.name)
        return self

    @property
    def qualified_name(self) -> str:
        """See ``qualified_name()``."""
        return qualified_name(self.namespace, self.name)


def _function_type(kind: object) -> object:
    if kind != "function":
        raise refusal("this server runs no tools: offer functions, and run what the model calls")
    return kind


class FunctionTool(RequestModel):
    """A function the model may call, as in chat."""

    type: Annotated[Literal["function"], BeforeValidator(_function_type)]
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class TextInput(RequestModel):
    """Any text, as a custom tool's input."""

    type: Literal["text"]


class GrammarInput(RequestModel):
    """Grammar of a custom tool's input.

    A regular expression is enforced. A grammar in Lark's form is only shown to the model.
    """

    type: Literal["grammar"]
    syntax: Literal["lark", "regex"]
    definition: str


class CustomTool(RequestModel):
    """A tool whose input is text. The model knows it as a function of one string, ``input``."""

    type: Literal["custom"]
    name: ToolName
    description: str | None = None
    format: Annotated[TextInput | GrammarInput, Field(discriminator="type")] | None = None


def _kind(tool: object) -> str:
    """Tag of a tool's model; other tools are wrong functions."""
    kind = kind_of(tool)
    if is_server_tool(kind):
        return "<server>"
    return f"<{kind}>" if kind in ("custom", "namespace") else "<function>"


ClientTool = Annotated[
    Annotated[FunctionTool, Tag("<function>")] | Annotated[CustomTool, Tag("<custom>")],
    Discriminator(lambda tool: "<custom>" if kind_of(tool) == "custom" else "<function>"),
]


class NamespaceTool(RequestModel):
    """A group of tools. Calls of them have its name beside their own."""

    type: Literal["namespace"]
    name: ToolName
    description: str = ""
    tools: list[ClientTool]

    @model_validator(mode="after")
    def _check_lengths(self) -> "NamespaceTool":
        for tool in self.tools:
            _check_length(self.name, tool.name)
        return self


OfferedTool = FunctionTool | CustomTool | NamespaceTool
ResponseTool = Annotated[
    Annotated[FunctionTool, Tag("<function>")]
    | Annotated[CustomTool, Tag("<custom>")]
    | Annotated[NamespaceTool, Tag("<namespace>")]
    | Annotated[ServerTool, Tag("<server>")],
    Discriminator(_kind),
]


def _callable_type(kind: object) -> object:
    return kind if kind == "custom" else _function_type(kind)


class ChosenTool(ToolReference):
    """The tool that must be called. Without ``namespace`` its own name is enough, if no other tool
    has the same."""

    type: Annotated[Literal["function", "custom"], BeforeValidator(_callable_type)]


class AllowedTools(RequestModel):
    """A choice among a subset of the tools, and whether one of them must be called."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: Annotated[
        list[
            Annotated[
                Annotated[ChosenTool, Tag("<tool>")] | Annotated[ServerTool, Tag("<server>")],
                Discriminator(lambda tool: "<server>" if _kind(tool) == "<server>" else "<tool>"),
            ]
        ],
        Field(min_length=1),
    ]


def _tool_choice_tag(choice: object) -> str:
    if isinstance(choice, str):
        return "<word>"
    return "<allowed_tools>" if kind_of(choice) == "allowed_tools" else "<tool>"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<word>")]
    | Annotated[ChosenTool, Tag("<tool>")]
    | Annotated[AllowedTools, Tag("<allowed_tools>")],
    Discriminator(_tool_choice_tag),
]
