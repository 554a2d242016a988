"""What all requests and replies share."""

from pydantic import BaseModel, ConfigDict, Field


class RequestModel(BaseModel):
    """A request body: fields this server does not know are ignored, as OpenAI's clients expect."""

    # Errors end in logs, and values are prompts.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ReplyModel(BaseModel):
    """A reply body."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class EventModel(ReplyModel):
    """An event of a stream whose events are called by their ``type``."""

    type: str


def is_none(value: object) -> bool:
    """For ``Field(exclude_if=...)``: leaves a field out of the reply where it says nothing."""
    return value is None


class PromptTokensDetails(ReplyModel):
    """Where a prompt's tokens came from: ``cached_tokens`` were in memory already."""

    cached_tokens: int


class CompletionTokensDetails(ReplyModel):
    """What became of the guesses at a reply's tokens: right ones cost no step of their own."""

    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(ReplyModel):
    """Tokens that a request took."""

    prompt_tokens: int
    completion_tokens: int = 0
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = Field(default=None, exclude_if=is_none)
    completion_tokens_details: CompletionTokensDetails | None = Field(
        default=None, exclude_if=is_none
    )
