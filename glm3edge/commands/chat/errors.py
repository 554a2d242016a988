"""The errors of the terminal chat.

Glm3EdgeError
├── ServerError               a server that is asked refuses, fails or is not there
└── TranscriptError           a file of a conversation or of tools that cannot be used
"""

from pathlib import Path

from glm3edge.errors import Glm3EdgeError


class ServerError(Glm3EdgeError):
    """A server that was asked for a reply gave none.

    Attributes:
        status: the HTTP status it answered with, None if it did not answer.
        code: what its error body calls the failure, None if it does not say.
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
