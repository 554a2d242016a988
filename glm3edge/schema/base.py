"""What all requests and replies share."""

from pydantic import BaseModel, ConfigDict


class RequestModel(BaseModel):
    """A request body: fields this server does not know are ignored, as OpenAI's clients expect."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ReplyModel(BaseModel):
    """A reply body."""

    model_config = ConfigDict(frozen=True)


def is_none(value: object) -> bool:
    """For ``Field(exclude_if=...)``: leaves a field out of the reply where it says nothing."""
    return value is None


class Usage(ReplyModel):
    """Tokens that a request took."""

    prompt_tokens: int
    completion_tokens: int = 0
    total_tokens: int
