"""Models of OpenAI's error body."""

from glm3edge.schema.base import ReplyModel


class ErrorDetail(ReplyModel):
    """An error: message, type and code, and the request field that it is about."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorReply(ReplyModel):
    """Body of an error response."""

    error: ErrorDetail
