"""Errors of the terminal chat.

Glm3EdgeError
├── ServerError               a server refuses a request, fails or cannot be reached
└── TranscriptError           a file of a conversation or of tools cannot be used
"""

from pathlib import Path

from glm3edge.errors import Glm3EdgeError


class ServerError(Glm3EdgeError):
    """A server did not answer a request, or answered with an error.

    Attributes:
        status: HTTP status of its answer, None if it did not answer.
        code: error code in the body of its answer, None without one.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class TranscriptError(Glm3EdgeError):
    """A file of a conversation or of tools cannot be read or written.

    Attributes:
        path: the file.
        reason: what is wrong with it, in one line.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason
