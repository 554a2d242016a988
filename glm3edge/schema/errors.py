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


class StartProgress(ReplyModel):
    """Progress of a server that has no model yet; what is not known is null.

    Attributes:
        phase: ``pulling``, ``converting`` or ``loading``.
        bytes_done: of the phase; what an earlier start has done counts.
        bytes_total: of the phase.
        seconds_left: at the rate of the last half minute.
    """

    phase: str
    bytes_done: int | None = None
    bytes_total: int | None = None
    seconds_left: int | None = None


class StartingReply(ErrorReply):
    """Body of an error response while the server starts."""

    progress: StartProgress
