"""Models of POST /v1/chat/completions."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from glm3edge.schema.base import ReplyModel, RequestModel, Usage, is_none
from glm3edge.schema.checks import kind_of, no_custom_tools, refused
from glm3edge.schema.content import Content, text_of
from glm3edge.schema.hints import Hints
from glm3edge.schema.sampling import SamplingOptions

INTERPRETER = "interpreter"
"""ChatGLM3's own tool: its calls are a block of Python, passed on as ``{"code": ...}``."""

MAX_TOOL_NAME = 128
"""Limit of a tool's name, in characters."""

_VISIBLE = r"[^\s\x1c-\x1f]"  # no white space, as Python's strip() knows it
ToolName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_TOOL_NAME,
        pattern=rf"^{_VISIBLE}([^\r\n]*{_VISIBLE})?$",
    ),
]
"""Name of a tool: any line. White space around it is no part of it in a model's reply."""


class FunctionCall(RequestModel):
    """A call in an assistant's message; ``arguments`` is JSON text."""

    name: ToolName
    arguments: str


class ToolCall(RequestModel):
    """A tool call. Its result refers to its ``id``."""

    id: str
    type: Annotated[Literal["function"], no_custom_tools] = "function"
    function: FunctionCall


class MessageFields(RequestModel):
    """Fields of a message besides its role."""

    content: Content | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    audio: Annotated[
        None, refused("earlier audio is not kept here: send what was said as content")
    ] = None

    @property
    def text(self) -> str:
        """The content as one string; without content, the refusal."""
        return text_of(self.content) or self.refusal or ""


class Message(MessageFields):
    """A message of the conversation.

    ``observation`` is ChatGLM3's own role for the result of a tool; it has no id of a call.
    """

    role: Literal["system", "developer", "user", "assistant", "tool", "observation"]

    @property
    def is_system(self) -> bool:
        """Whether the message is an instruction."""
        return self.role in ("system", "developer")


class FunctionDefinition(RequestModel):
    """A function the model may call; ``parameters`` is a JSON schema.

    Calls are constrained to it; with ``strict`` the request is refused if that is not possible.
    """

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(RequestModel):
    """A tool the model may use.

    ``{"type": "code_interpreter"}`` is short for the function ``interpreter``: the model's code
    comes as a call, which the client may run.
    """

    type: Annotated[Literal["function"], no_custom_tools]
    function: FunctionDefinition

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, value: object) -> object:
        if kind_of(value) != "code_interpreter":
            return value
        parameters = {"type": "object", "properties": {"code": {"type": "string"}}}
        function = {"description": "Run Python code", "parameters": parameters}
        return {"type": "function", "function": {"name": INTERPRETER, **function}}


class ChosenFunction(RequestModel):
    """The function that must be called."""

    name: ToolName


class NamedToolChoice(RequestModel):
    """A choice of one tool, which must be called."""

    type: Annotated[Literal["function"], no_custom_tools]
    function: ChosenFunction


class AllowedTools(RequestModel):
    """A subset of the tools, and whether one of them must be called."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedToolChoice], Field(min_length=1)]


class AllowedToolChoice(RequestModel):
    """A choice among a subset of the tools."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


def _tool_choice_tag(value: object) -> str:
    kind = kind_of(value)
    return f"<{kind}>" if kind in ("function", "allowed_tools") else "<word>"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<word>")]
    | Annotated[NamedToolChoice, Tag("<function>")]
    | Annotated[AllowedToolChoice, Tag("<allowed_tools>")],
    Discriminator(_tool_choice_tag),
    no_custom_tools,
]


class JsonSchema(RequestModel):
    """The JSON schema that a reply must follow."""

    name: str | None = None
    description: str | None = None
    definition: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(RequestModel):
    """Format of the reply: text, a JSON object, or JSON that follows a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(RequestModel):
    """Options of a stream. ``include_obfuscation`` has no effect.

    ``include_progress`` is this server's own: while a long prompt is processed, chunks without
    choices report the progress. Streams of text completions have no such chunks.
    """

    include_usage: bool | None = None
    include_progress: bool | None = None
    include_obfuscation: bool | None = None


class ChatOptions(Hints, SamplingOptions):
    """Options of a chat completion.

    ``truncation`` is this server's own. A conversation that does not fit the context is refused
    unless it is ``auto``: then the oldest exchanges (a user's message with what follows it) are
    left out, as few as possible, until prompt and ``max_tokens`` fit; without ``max_tokens``, or if
    it may be lowered, until a quarter of the context is free, at most 1024 tokens. System messages,
    tools and the last user message with what follows it stay; if they do not fit, the request is
    refused. The reply says what was left out; in a stream, its first chunk does.

    ``continue_final_message`` and ``add_generation_prompt`` are vLLM's: an assistant message at the
    end is continued unless they ask for a new one.
    """

    model: str = ""
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    truncation: Literal["auto", "disabled"] | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None

    @property
    def max_new_tokens(self) -> int | None:
        """Token limit of the reply, under its new name or its old one."""
        if self.max_completion_tokens is not None:
            return self.max_completion_tokens
        return self.max_tokens


class ChatRequest(ChatOptions):
    """A request for a chat completion."""

    messages: Annotated[list[Message], Field(min_length=1)]
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None


FinishReasonName = Literal["stop", "length", "tool_calls", "function_call"]


class ReplyFunction(ReplyModel):
    """Function of a tool call in a reply."""

    name: str
    arguments: str


class ReplyToolCall(ReplyModel):
    """A tool call in a reply."""

    id: str
    type: Literal["function"] = "function"
    function: ReplyFunction


class ReplyMessage(ReplyModel):
    """The assistant's message."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: list[ReplyToolCall] | None = Field(default=None, exclude_if=is_none)
    function_call: ReplyFunction | None = Field(default=None, exclude_if=is_none)


class TopLogprob(ReplyModel):
    """A candidate token: its text, its bytes, and its log probability."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    """A token of the reply, and the most probable tokens in its place."""

    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(ReplyModel):
    """Log probabilities of the tokens of a reply's content: natural logarithms, before sampling."""

    content: list[TokenLogprob]
    refusal: None = None


class Choice(ReplyModel):
    """One reply to the request."""

    # ``stop_string`` and ``ends_in_prose`` are for other routes: they are not sent.

    index: int = 0
    message: ReplyMessage
    logprobs: ChoiceLogprobs | None = None
    finish_reason: FinishReasonName
    stop_string: str | None = Field(default=None, exclude=True)
    ends_in_prose: bool = Field(default=True, exclude=True)


class Truncation(ReplyModel):
    """Messages and tokens that were left out so that the conversation fits."""

    dropped_messages: int
    dropped_tokens: int


class ChatReply(ReplyModel):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    truncation: Truncation | None = Field(default=None, exclude_if=is_none)


class FunctionCallChunk(ReplyModel):
    """Function of a tool call in a stream; only the first chunk of a call has its name."""

    name: str | None = Field(default=None, exclude_if=is_none)
    arguments: str


class ToolCallChunk(ReplyModel):
    """A tool call, or more of one; only the first chunk of a call has ``id`` and ``type``."""

    index: int
    id: str | None = Field(default=None, exclude_if=is_none)
    type: Literal["function"] | None = Field(default=None, exclude_if=is_none)
    function: FunctionCallChunk


class ChunkDelta(ReplyModel):
    """Addition to the message."""

    role: Literal["assistant"] | None = Field(default=None, exclude_if=is_none)
    content: str | None = Field(default=None, exclude_if=is_none)
    tool_calls: list[ToolCallChunk] | None = Field(default=None, exclude_if=is_none)
    function_call: FunctionCallChunk | None = Field(default=None, exclude_if=is_none)


class FirstDelta(ChunkDelta):
    """Beginning of the message."""

    role: Literal["assistant"] = "assistant"
    content: str = ""
    refusal: None = None


class ChunkChoice(ReplyModel):
    """Addition to one reply."""

    # ``stop_string`` is as in ``Choice``.

    index: int = 0
    delta: ChunkDelta | FirstDelta
    logprobs: ChoiceLogprobs | None = Field(default=None, exclude_if=is_none)
    finish_reason: FinishReasonName | None = None
    stop_string: str | None = Field(default=None, exclude=True)


class PromptProgress(ReplyModel):
    """Progress of a long prompt, in tokens: ``processed`` of ``total`` after ``seconds``.

    ``cached`` of them were in the KV cache when it began.
    """

    total: int
    cached: int
    processed: int
    seconds: float


class ChatChunk(ReplyModel):
    """A chunk of a streamed chat completion."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = Field(default=None, exclude_if=is_none)
    prompt_progress: PromptProgress | None = Field(default=None, exclude_if=is_none)
    truncation: Truncation | None = Field(default=None, exclude_if=is_none)


class ChatUsageChunk(ChatChunk):
    """A chunk of a stream that ends with usage: until then it is null."""

    usage: Usage | None = None
