"""POST /v1/chat/completions."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from glm3edge.schema.base import ReplyModel, RequestModel, Usage, is_none
from glm3edge.schema.checks import kind_of, no_custom_tools, refused
from glm3edge.schema.content import Content, text_of
from glm3edge.schema.hints import Hints
from glm3edge.schema.sampling import SamplingOptions

INTERPRETER = "interpreter"
"""ChatGLM3's own tool: its calls are a block of Python, handed on as ``{"code": ...}``."""

ToolName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\r\n]+$")]


class FunctionCall(RequestModel):
    """A call in an assistant's message; ``arguments`` is JSON text."""

    name: ToolName
    arguments: str


class ToolCall(RequestModel):
    """A call with the id its result refers to."""

    id: str
    type: Annotated[Literal["function"], no_custom_tools] = "function"
    function: FunctionCall


class MessageFields(RequestModel):
    """What a message has besides its role."""

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
        """The content as one string; where there is none, a refusal."""
        return text_of(self.content) or self.refusal or ""


class Message(MessageFields):
    """A message of the conversation so far.

    ``observation`` is ChatGLM3's own name for the result of a tool; it refers to no call by an id.
    """

    role: Literal["system", "developer", "user", "assistant", "tool", "observation"]

    @property
    def is_system(self) -> bool:
        """Whether it instructs rather than converses."""
        return self.role in ("system", "developer")


class FunctionDefinition(RequestModel):
    """A function the model may call; ``parameters`` is a JSON schema.

    Calls are held to it; with ``strict`` the request is refused if they cannot be.
    """

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(RequestModel):
    """A tool the model may use.

    ``{"type": "code_interpreter"}`` is short for the function ``interpreter``: the model's code
    comes as a call, for the client to run or not.
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
    """The function that has to be called."""

    name: ToolName


class NamedToolChoice(RequestModel):
    """One tool that has to be called."""

    type: Annotated[Literal["function"], no_custom_tools]
    function: ChosenFunction


class AllowedTools(RequestModel):
    """Some of the tools, and whether one of them has to be called."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedToolChoice], Field(min_length=1)]


class AllowedToolChoice(RequestModel):
    """A choice among some of the tools only."""

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
    """What the JSON of a reply has to be like; ``schema`` is a JSON schema."""

    name: str | None = None
    description: str | None = None
    definition: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(RequestModel):
    """What a reply has to be: text, a JSON object, or JSON of a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(RequestModel):
    """What a stream carries besides the reply. Nothing is obfuscated here, whatever is asked.

    ``include_progress`` is this server's: while a long prompt is read, chunks without choices tell
    how far that has got. Streams of text completions have no such chunks.
    """

    include_usage: bool | None = None
    include_progress: bool | None = None
    include_obfuscation: bool | None = None


class ChatOptions(Hints, SamplingOptions):
    """How to reply. A field that is null counts as not given.

    ``truncation`` is this server's. A conversation that does not fit the context is refused unless
    it is ``auto``: then the oldest exchanges (a user's message with what follows it) are left out,
    as few as may be, until prompt and ``max_tokens`` fit; without ``max_tokens`` until a quarter of
    the context is free, at most 1024 tokens. System messages, tools and the last user message with
    what follows it stay; if they do not fit, the request is refused. The reply says what was left
    out, in a stream its first chunk.
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

    @property
    def max_new_tokens(self) -> int | None:
        """The limit on the reply, under its new name or its old one."""
        if self.max_completion_tokens is not None:
            return self.max_completion_tokens
        return self.max_tokens


class ChatRequest(ChatOptions):
    """A chat completion to make."""

    messages: Annotated[list[Message], Field(min_length=1)]
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None


FinishReasonName = Literal["stop", "length", "tool_calls", "function_call"]


class ReplyFunction(ReplyModel):
    """The function of a call, in a reply."""

    name: str
    arguments: str


class ReplyToolCall(ReplyModel):
    """A call, in a reply."""

    id: str
    type: Literal["function"] = "function"
    function: ReplyFunction


class ReplyMessage(ReplyModel):
    """The assistant's message."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    tool_calls: list[ReplyToolCall] | None = Field(default=None, exclude_if=is_none)
    function_call: ReplyFunction | None = Field(default=None, exclude_if=is_none)


class TopLogprob(ReplyModel):
    """A token that was possible: its text, its bytes, and the logarithm of its probability."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    """A token of the reply, and those that were most probable in its place."""

    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(ReplyModel):
    """Probabilities of the tokens of a reply's content. Natural logarithms, before sampling."""

    content: list[TokenLogprob]
    refusal: None = None


class Choice(ReplyModel):
    """One reply.

    ``stop_string``, which ended it, and ``ends_in_prose`` are for other routes and no fields of
    OpenAI's.
    """

    index: int = 0
    message: ReplyMessage
    logprobs: ChoiceLogprobs | None = None
    finish_reason: FinishReasonName
    stop_string: str | None = Field(default=None, exclude=True)
    ends_in_prose: bool = Field(default=True, exclude=True)


class Truncation(ReplyModel):
    """What was left out of a conversation so that it fits."""

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
    """The function of a call, or a piece of one, in a stream. Only the first has the name."""

    name: str | None = Field(default=None, exclude_if=is_none)
    arguments: str


class ToolCallChunk(ReplyModel):
    """A call or a piece of one, in a stream. Only the first has ``id`` and ``type``."""

    index: int
    id: str | None = Field(default=None, exclude_if=is_none)
    type: Literal["function"] | None = Field(default=None, exclude_if=is_none)
    function: FunctionCallChunk


class ChunkDelta(ReplyModel):
    """What a chunk adds to the message."""

    role: Literal["assistant"] | None = Field(default=None, exclude_if=is_none)
    content: str | None = Field(default=None, exclude_if=is_none)
    tool_calls: list[ToolCallChunk] | None = Field(default=None, exclude_if=is_none)
    function_call: FunctionCallChunk | None = Field(default=None, exclude_if=is_none)


class ChunkChoice(ReplyModel):
    """One reply's share of a chunk. ``stop_string`` is as in ``Choice``."""

    index: int = 0
    delta: ChunkDelta
    logprobs: ChoiceLogprobs | None = Field(default=None, exclude_if=is_none)
    finish_reason: FinishReasonName | None = None
    stop_string: str | None = Field(default=None, exclude=True)


class PromptProgress(ReplyModel):
    """How far a prompt has been read: of ``total`` tokens ``processed`` are, ``cached`` of them
    from the beginning, ``seconds`` after that."""

    total: int
    cached: int
    processed: int
    seconds: float


class ChatChunk(ReplyModel):
    """An event of a streamed chat completion."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = Field(default=None, exclude_if=is_none)
    prompt_progress: PromptProgress | None = Field(default=None, exclude_if=is_none)
    truncation: Truncation | None = Field(default=None, exclude_if=is_none)
