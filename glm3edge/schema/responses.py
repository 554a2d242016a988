"""Models of POST /v1/responses, and of GET and DELETE /v1/responses/{id}."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from glm3edge.schema.base import ReplyModel, RequestModel
from glm3edge.schema.checks import refused
from glm3edge.schema.response_items import Item, OutputItem
from glm3edge.schema.response_tools import OfferedTool, ResponseTool, ToolChoice
from glm3edge.schema.sampling import TokenChoice


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_encodable(one) for one in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    return value


def _items_of(value: object) -> object:
    """A string is short for one message of the user's."""
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


class PlainFormat(RequestModel):
    """Format of a reply that is text, or a JSON object."""

    type: Literal["text", "json_object"] = "text"


class SchemaFormat(RequestModel):
    """Format of a reply that is JSON and follows a schema."""

    model_config = ConfigDict(serialize_by_alias=True)

    type: Literal["json_schema"]
    name: str
    description: str | None = None
    definition: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class TextOptions(RequestModel):
    """Options of the reply's text."""

    format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")] | None = None


class Reasoning(RequestModel):
    """Options of reasoning, which ChatGLM3 does not do. They have no effect."""

    effort: str | None = None
    summary: str | None = None


class ResponseRequest(TokenChoice):
    """A request for a response to ``input``, which follows an earlier response if one is named.

    Of the inherited fields OpenAI's API has ``temperature`` and ``top_p``; the others are this
    server's own, as in chat. ``metadata``, ``user``, ``reasoning``, ``max_tool_calls``,
    ``safety_identifier`` and ``prompt_cache_key`` have no effect: the response repeats them.
    """

    @model_validator(mode="before")
    @classmethod
    def _replace_surrogates(cls, body: object) -> object:
        """Replace halves of surrogate pairs, which no reply could contain, by question marks."""
        return _encodable(body)

    model: str = ""
    input: Annotated[
        list[Item],
        Field(min_length=1),
        BeforeValidator(_items_of, json_schema_input_type=str | list[Item]),
    ]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    include: list[str] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None
    user: str | None = None
    reasoning: Reasoning | None = None
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    truncation: Literal["auto", "disabled"] | None = None
    background: Annotated[
        bool | None, refused("this server cannot run responses in the background", but=(False,))
    ] = None
    conversation: Annotated[None, refused("not supported: use previous_response_id")] = None
    prompt: Annotated[None, refused("not supported: use instructions and input")] = None

    @property
    def wants_logprobs(self) -> bool:
        """Whether log probabilities are asked for, by ``top_logprobs`` or in ``include``."""
        return self.top_logprobs is not None or "message.output_text.logprobs" in (
            self.include or ()
        )


class InputTokensDetails(ReplyModel):
    """Source of the prompt's tokens. ``cache_write_tokens`` is always 0: caching is free."""

    cached_tokens: int
    cache_write_tokens: int = 0


class OutputTokensDetails(ReplyModel):
    """Details of the reply's tokens. ``reasoning_tokens`` is always 0: ChatGLM3 does not reason."""

    reasoning_tokens: int = 0


class ResponseUsage(ReplyModel):
    """Tokens that a response used."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int


class IncompleteDetails(ReplyModel):
    """Reason why a response ended early."""

    reason: Literal["max_output_tokens"] = "max_output_tokens"


class ResponseFailure(ReplyModel):
    """Error that ended a response after its stream had started."""

    code: Literal["server_error", "rate_limit_exceeded"]
    message: str


class ResponseReply(ReplyModel):
    """A response, with the options that were asked for. ``tools`` are those that the model was
    offered."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: Literal["in_progress", "completed", "incomplete", "failed"] = "in_progress"
    background: Literal[False] = False
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    frequency_penalty: float
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    model: str
    output: list[OutputItem] = Field(default_factory=list)
    parallel_tool_calls: bool
    presence_penalty: float
    previous_response_id: str | None
    prompt_cache_key: str | None
    reasoning: Reasoning
    safety_identifier: str | None
    service_tier: Literal["default"] = "default"
    store: bool
    temperature: float
    text: TextOptions
    tool_choice: ToolChoice
    tools: list[OfferedTool]
    top_logprobs: int
    top_p: float
    truncation: Literal["auto", "disabled"] = "disabled"
    usage: ResponseUsage | None = None
    user: str | None


class ItemList(ReplyModel):
    """A page of the items that a response was made from."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedResponse(ReplyModel):
    """Confirmation that a response was deleted."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True
