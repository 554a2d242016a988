"""OpenAI's error body."""

from glm3edge.schema.base import ReplyModel


class ErrorDetail(ReplyModel):
    """What went wrong: for people, for programs (``type``, ``code``), and where (``param``)."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorReply(ReplyModel):
    """The body of every reply that is no success."""

    error: ErrorDetail
