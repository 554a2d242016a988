"""Models of Ollama's API, the routes below /api.

The forms are those of https://github.com/ollama/ollama/blob/main/docs/api.md and api/types.go. What
is only for Ollama's own models and memory management (``keep_alive``, ``shift``, load-time options
such as ``num_ctx``) is taken and has no effect.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from glm3edge.limits import MAX_TEXTS
from glm3edge.schema.base import ReplyModel, RequestModel, is_none
from glm3edge.schema.chat import FunctionDefinition, TokenLogprob, ToolName
from glm3edge.schema.checks import refusal
from glm3edge.schema.sampling import Stop
from glm3edge.schema.tokens import TokenId


def _refuse_images(value: object) -> object:
    if value:
        raise refusal("ChatGLM3 reads text only: describe the image in the text")
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _format_tag(value: object) -> str:
    return "<schema>" if isinstance(value, dict) else "<word>"


Images = Annotated[list[str], BeforeValidator(_refuse_images)]
OutputFormat = Annotated[
    Annotated[Literal["", "json"], Tag("<word>")] | Annotated[dict[str, Any], Tag("<schema>")],
    Discriminator(_format_tag),
]


class OllamaOptions(RequestModel):
    """Sampling options. ``num_predict`` is the token limit; 0 and less is as many as fit.

    Those of Ollama that are missing here have no effect: they are set when the server is started
    (``num_ctx``, ``num_gpu``, ``num_thread``, ...), or samplers that this server does not have
    (``mirostat``, ``tfs_z``, ``typical_p``, ``repeat_last_n``, ...).
    """

    num_predict: int | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: int | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: int | None = None
    stop: Stop | None = None
    repeat_penalty: Annotated[float, Field(ge=0.01, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None


class _ModelRequest(RequestModel):
    """Fields of every request to a model. The model stays loaded, whatever ``keep_alive`` says."""

    model: str = ""
    options: OllamaOptions | None = None
    keep_alive: float | str | None = None


class _GenerationRequest(_ModelRequest):
    """Fields of requests for text. Streams are the default.

    A conversation that does not fit loses its oldest messages, unless ``truncate`` is false.
    """

    stream: bool | None = None
    format: OutputFormat | None = None
    think: bool | Literal["low", "medium", "high", "max"] | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    @property
    def wants_stream(self) -> bool:
        """Whether the reply is to be streamed."""
        return self.stream is not False


class OllamaFunctionCall(RequestModel):
    """Function of a tool call; its arguments are an object."""

    name: ToolName
    arguments: dict[str, Any] = Field(default_factory=dict)


class OllamaToolCall(RequestModel):
    """A tool call in an assistant's message."""

    id: str | None = None
    function: OllamaFunctionCall


class OllamaMessage(RequestModel):
    """A message of the conversation.

    A tool's result belongs to the call of ``tool_call_id``, or else to the first call of
    ``tool_name`` that has none yet, or else to the first of any name. ``thinking`` is dropped:
    ChatGLM3's format has no place for it.
    """

    role: Annotated[Literal["system", "user", "assistant", "tool"], BeforeValidator(_lower)]
    content: str | None = None
    thinking: str | None = None
    images: Images | None = None
    tool_calls: list[OllamaToolCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OllamaTool(RequestModel):
    """A tool the model may use. Its ``type`` is always ``function``."""

    function: FunctionDefinition


class OllamaChatRequest(_GenerationRequest):
    """A request for a chat reply. Without messages it asks to load the model."""

    messages: list[OllamaMessage] | None = None
    tools: list[OllamaTool] | None = None


class GenerateRequest(_GenerationRequest):
    """A request for a reply to one prompt. Without a prompt it asks to load the model.

    ``context`` is that of an earlier reply, whose conversation goes on. With ``raw`` the prompt is
    continued as plain text.
    """

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: list[TokenId] | None = None
    raw: bool | None = None
    images: Images | None = None


class EmbedRequest(_ModelRequest):
    """Texts to embed. Those that do not fit are cut, unless ``truncate`` is false."""

    input: str | Annotated[list[str], Field(max_length=MAX_TEXTS)] | None = None
    truncate: bool | None = None
    dimensions: Annotated[int, Field(ge=0)] | None = None


class EmbeddingRequest(_ModelRequest):
    """A text to embed, in the older form."""

    prompt: str | None = None


class ShowRequest(RequestModel):
    """A request for details of a model; ``name`` is the older name of ``model``."""

    model: str | None = None
    name: str | None = None


class _Line(ReplyModel):
    """Fields of a reply, or of a line of a stream; the last line has the fields after ``done``.

    Durations are in nanoseconds. ``load_duration`` is the time until the request is ready to run,
    ``prompt_eval_duration`` that of the prefill, ``eval_duration`` that from the first token on.
    """

    model: str
    created_at: datetime
    done: bool
    done_reason: Literal["stop", "length", "load", "unload"] | None = Field(
        default=None, exclude_if=is_none
    )
    total_duration: int | None = Field(default=None, exclude_if=is_none)
    load_duration: int | None = Field(default=None, exclude_if=is_none)
    prompt_eval_count: int | None = Field(default=None, exclude_if=is_none)
    prompt_eval_duration: int | None = Field(default=None, exclude_if=is_none)
    eval_count: int | None = Field(default=None, exclude_if=is_none)
    eval_duration: int | None = Field(default=None, exclude_if=is_none)
    logprobs: list[TokenLogprob] | None = Field(default=None, exclude_if=is_none)


class ReplyCallFunction(ReplyModel):
    """Function of a tool call in a reply; ``index`` counts the reply's calls."""

    index: int
    name: str
    arguments: dict[str, Any]


class OllamaReplyCall(ReplyModel):
    """A tool call in a reply."""

    id: str
    function: ReplyCallFunction


class OllamaReplyMessage(ReplyModel):
    """The assistant's message, or in a stream more of it. Calls are whole."""

    role: Literal["assistant"] = "assistant"
    content: str = ""
    tool_calls: list[OllamaReplyCall] | None = Field(default=None, exclude_if=is_none)


class OllamaChatReply(_Line):
    """A chat reply, or a line of a stream."""

    message: OllamaReplyMessage


class GenerateReply(_Line):
    """A reply to a prompt, or a line of a stream. ``context`` is for a request that goes on."""

    response: str
    context: list[int] | None = Field(default=None, exclude_if=is_none)


class EmbedReply(ReplyModel):
    """Vectors, in the order of the input. Durations are in nanoseconds."""

    model: str
    embeddings: list[list[float]]
    total_duration: int
    load_duration: int
    prompt_eval_count: int


class EmbeddingReply(ReplyModel):
    """The vector of a text, in the older form."""

    embedding: list[float]


class ModelDetails(ReplyModel):
    """Format and size of a model. ``parent_model`` is that of an adapter."""

    parent_model: str
    format: Literal["gguf"] = "gguf"
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


Capability = Literal["completion", "tools", "embedding"]


class ModelTag(ReplyModel):
    """A model that requests can name. ``size`` is its file's, in bytes."""

    name: str
    model: str
    modified_at: datetime
    size: int
    digest: str
    details: ModelDetails
    capabilities: list[Capability]


class TagList(ReplyModel):
    """All models: the chat model, its adapters, and the embedding model if it is another."""

    models: list[ModelTag]


class RunningModel(ReplyModel):
    """A loaded model. ``size_vram`` is the part of its file that is on GPUs, in bytes."""

    name: str
    model: str
    size: int
    digest: str
    details: ModelDetails
    expires_at: datetime
    size_vram: int
    context_length: int


class RunningList(ReplyModel):
    """All models: they are loaded as long as the server runs."""

    models: list[RunningModel]


class ShowReply(ReplyModel):
    """Details of a model. ``parameters`` are the defaults of options, a line for each."""

    modelfile: str
    parameters: str
    template: str
    details: ModelDetails
    model_info: dict[str, str | int]
    capabilities: list[Capability]
    modified_at: datetime


class OllamaVersion(ReplyModel):
    """Version of Ollama whose API this is; clients refuse to work with older ones."""

    version: str


class OllamaError(ReplyModel):
    """Error body, and the last line of a stream that fails."""

    error: str
