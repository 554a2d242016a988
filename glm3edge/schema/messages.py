"""Models of POST /v1/messages and /v1/messages/count_tokens: chat in Anthropic's form.

Fields that are not here, such as ``cache_control``, have no effect; docs/api.md lists them.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from glm3edge.schema.base import EventModel, ReplyModel, RequestModel, is_none
from glm3edge.schema.chat import ToolName
from glm3edge.schema.checks import kind_of, refusal, refused
from glm3edge.schema.server_tools import ServerTool, is_server_tool


class TextBlock(RequestModel):
    """Text in a message."""

    type: Literal["text"]
    text: str


def _blocks_of(content: object) -> object:
    """A string is short for one block of text."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


TextBlocks = Annotated[
    list[TextBlock],
    BeforeValidator(_blocks_of, json_schema_input_type=str | list[TextBlock]),
]


class ToolUseBlock(RequestModel):
    """A tool call in an assistant's message. Its result refers to its ``id``."""

    type: Literal["tool_use"]
    id: str
    name: ToolName
    input: dict[str, Any]


class ToolResultBlock(RequestModel):
    """Result of a tool call. The model reads an error like any other result."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: TextBlocks = Field(default_factory=list)
    is_error: bool | None = None


class DroppedBlock(RequestModel):
    """Reasoning of another model, or the mark where another took over. ChatGLM3's format has no
    place for it: it is dropped."""

    type: Literal["thinking", "redacted_thinking", "fallback"]


UserBlock = Annotated[TextBlock | ToolResultBlock, Field(discriminator="type")]
AssistantBlock = Annotated[TextBlock | ToolUseBlock | DroppedBlock, Field(discriminator="type")]


class UserMessage(RequestModel):
    """A message of the user, with results of earlier tool calls."""

    role: Literal["user"]
    content: Annotated[
        list[UserBlock],
        BeforeValidator(_blocks_of, json_schema_input_type=str | list[UserBlock]),
    ]


class AssistantMessage(RequestModel):
    """A message of the assistant, with its tool calls."""

    role: Literal["assistant"]
    content: Annotated[
        list[AssistantBlock],
        BeforeValidator(_blocks_of, json_schema_input_type=str | list[AssistantBlock]),
    ]


class SystemMessage(RequestModel):
    """Instructions within the conversation. They are added to ``system``, as the format needs.

    With ``clear_at: next_user_message`` they only hold until the user's next message.
    """

    role: Literal["system"]
    content: TextBlocks = Field(default_factory=list)
    clear_at: Literal["next_user_message", "never"] | None = None


InputMessage = Annotated[
    UserMessage | AssistantMessage | SystemMessage, Field(discriminator="role")
]


def _refuse_server_tools(kind: object) -> object:
    if kind not in (None, "custom"):
        raise refusal(f"this server has no tool of type {kind!r}: describe yours by input_schema")
    return kind


class ClientTool(RequestModel):
    """A tool the model may use; ``input_schema`` is a JSON schema.

    Calls are constrained to it; with ``strict`` the request is refused if that is not possible.
    Tools whose schema only Anthropic's models know are refused.
    """

    type: Annotated[Literal["custom"] | None, BeforeValidator(_refuse_server_tools)] = None
    name: ToolName
    description: str | None = None
    input_schema: dict[str, Any]
    strict: bool | None = None


Tool = Annotated[
    Annotated[ClientTool, Tag("<client>")] | Annotated[ServerTool, Tag("<server>")],
    Discriminator(lambda tool: "<server>" if is_server_tool(kind_of(tool)) else "<client>"),
]


class FreeToolChoice(RequestModel):
    """A choice among all tools: any may be used, one must be used, or none may."""

    type: Literal["auto", "any", "none"]
    disable_parallel_tool_use: bool | None = None


class NamedToolChoice(RequestModel):
    """A choice of one tool, which must be used."""

    type: Literal["tool"]
    name: ToolName
    disable_parallel_tool_use: bool | None = None


class OutputFormat(RequestModel):
    """The JSON schema that a reply must follow."""

    type: Literal["json_schema"]
    definition: dict[str, Any] = Field(alias="schema")


class OutputConfig(RequestModel):
    """Options of the reply's format."""

    format: OutputFormat | None = None


class Conversation(RequestModel):
    """A conversation: the fields that make a prompt, as ``count_tokens`` counts it.

    ``thinking`` is ignored: ChatGLM3 does not reason before it replies.
    """

    model: str = ""
    messages: Annotated[list[InputMessage], Field(min_length=1)]
    system: TextBlocks = Field(default_factory=list)
    tools: list[Tool] | None = None
    tool_choice: Annotated[FreeToolChoice | NamedToolChoice, Field(discriminator="type")] | None = (
        None
    )
    thinking: dict[str, Any] | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    mcp_servers: Annotated[
        list[Any] | None, refused("this server runs no tools: connect to them yourself", but=([],))
    ] = None

    @property
    def format(self) -> OutputFormat | None:
        """The reply's format, under its new name or its old one."""
        new = self.output_config.format if self.output_config is not None else None
        return new or self.output_format


class MessagesRequest(Conversation):
    """A request for a message. Sampling fields have this server's defaults."""

    max_tokens: Annotated[int, Field(ge=1)]
    stop_sequences: Annotated[list[str], Field(max_length=16)] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    metadata: dict[str, Any] | None = None
    thread: dict[str, Any] | None = None
    compaction: Annotated[
        None, refused("this server does not compact conversations: ask for a summary in a message")
    ] = None


class TokenCount(ReplyModel):
    """Number of tokens of a prompt: messages, system prompt and tools."""

    input_tokens: int


class MessageUsage(ReplyModel):
    """Tokens that a message used.

    Tokens of the prompt that were in the KV cache are ``cache_read_input_tokens``, the others
    ``input_tokens``.
    """

    input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int
    output_tokens: int


class ReplyTextBlock(ReplyModel):
    """Text in a reply."""

    type: Literal["text"] = "text"
    text: str


class ReplyToolUseBlock(ReplyModel):
    """A tool call in a reply."""

    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    input: dict[str, Any]


ReplyBlock = ReplyTextBlock | ReplyToolUseBlock
StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]


class MessageReply(ReplyModel):
    """The assistant's message."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[ReplyBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: MessageUsage


class MessageErrorCode(ReplyModel):
    """Cause of an error that Anthropic's clients know how to handle."""

    error_code: str


class MessageErrorDetail(ReplyModel):
    """An error: type and message."""

    type: str
    message: str
    details: MessageErrorCode | None = Field(default=None, exclude_if=is_none)


class ErrorEvent(EventModel):
    """Anthropic's error body, and the last event of a stream that fails."""

    type: Literal["error"] = "error"
    error: MessageErrorDetail
    request_id: str
