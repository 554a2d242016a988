"""POST /v1/messages and /v1/messages/count_tokens: chat in Anthropic's form."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from glm3edge.schema.base import EventModel, ReplyModel, RequestModel
from glm3edge.schema.chat import ToolName


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
    """A call in an assistant's message, with the id its result refers to."""

    type: Literal["tool_use"]
    id: str
    name: ToolName
    input: dict[str, Any]


class ToolResultBlock(RequestModel):
    """What a call has led to. The model reads an error as it reads any other result."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: TextBlocks = Field(default_factory=list)
    is_error: bool | None = None


class ThinkingBlock(RequestModel):
    """What another model has thought, which is dropped: ChatGLM3's format has no place for it."""

    type: Literal["thinking", "redacted_thinking"]


UserBlock = Annotated[TextBlock | ToolResultBlock, Field(discriminator="type")]
AssistantBlock = Annotated[TextBlock | ToolUseBlock | ThinkingBlock, Field(discriminator="type")]


class UserMessage(RequestModel):
    """What the user says, and results of the calls before it."""

    role: Literal["user"]
    content: Annotated[
        list[UserBlock],
        BeforeValidator(_blocks_of, json_schema_input_type=str | list[UserBlock]),
    ]


class AssistantMessage(RequestModel):
    """What the assistant has said, and its calls."""

    role: Literal["assistant"]
    content: Annotated[
        list[AssistantBlock],
        BeforeValidator(_blocks_of, json_schema_input_type=str | list[AssistantBlock]),
    ]


class SystemMessage(RequestModel):
    """Instructions on the way. They go where ``system`` goes: the format has one place for them."""

    role: Literal["system"]
    content: TextBlocks


InputMessage = Annotated[
    UserMessage | AssistantMessage | SystemMessage, Field(discriminator="role")
]


class ClientTool(RequestModel):
    """A tool the model may use; ``input_schema`` is a JSON schema.

    Calls are held to it; with ``strict`` the request is refused if they cannot be. Tools that
    Anthropic's servers run are refused.
    """

    type: Literal["custom"] | None = None
    name: ToolName
    description: str | None = None
    input_schema: dict[str, Any]
    strict: bool | None = None


class FreeToolChoice(RequestModel):
    """Any tool may be used, or has to be, or none may."""

    type: Literal["auto", "any", "none"]
    disable_parallel_tool_use: bool | None = None


class NamedToolChoice(RequestModel):
    """One tool that has to be used."""

    type: Literal["tool"]
    name: ToolName
    disable_parallel_tool_use: bool | None = None


class OutputFormat(RequestModel):
    """What the JSON of a reply has to be like; ``schema`` is a JSON schema."""

    type: Literal["json_schema"]
    definition: dict[str, Any] = Field(alias="schema")


class OutputConfig(RequestModel):
    """What the reply has to be."""

    format: OutputFormat | None = None


class Conversation(RequestModel):
    """What makes a prompt, as ``count_tokens`` counts it.

    ``thinking`` is ignored, whatever it asks for: ChatGLM3 does not think before it speaks.
    """

    model: str = ""
    messages: Annotated[list[InputMessage], Field(min_length=1)]
    system: TextBlocks = Field(default_factory=list)
    tools: list[ClientTool] | None = None
    tool_choice: Annotated[FreeToolChoice | NamedToolChoice, Field(discriminator="type")] | None = (
        None
    )
    thinking: dict[str, Any] | None = None
    output_config: OutputConfig | None = None


class MessagesRequest(Conversation):
    """A message to make. Where sampling fields are not given, this server's defaults hold."""

    max_tokens: Annotated[int, Field(ge=1)]
    stop_sequences: Annotated[list[str], Field(max_length=16)] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    metadata: dict[str, Any] | None = None


class TokenCount(ReplyModel):
    """The prompt's tokens: messages, system prompt and tools."""

    input_tokens: int


class MessageUsage(ReplyModel):
    """Tokens that a message took.

    The prompt's are ``input_tokens`` and, besides, ``cache_read_input_tokens`` that were in memory.
    """

    input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int
    output_tokens: int


class ReplyTextBlock(ReplyModel):
    """Text, in a reply."""

    type: Literal["text"] = "text"
    text: str


class ReplyToolUseBlock(ReplyModel):
    """A call, in a reply."""

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


class MessageErrorDetail(ReplyModel):
    """What went wrong: for programs (``type``) and for people."""

    type: str
    message: str


class ErrorEvent(EventModel):
    """Anthropic's error body, and the event that ends a stream that fails."""

    type: Literal["error"] = "error"
    error: MessageErrorDetail
