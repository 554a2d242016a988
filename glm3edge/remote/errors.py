"""Errors of remote engines.

Glm3EdgeError
├── EngineUnfitError           it cannot be used as an engine
└── EngineError
    └── EngineLostError
        └── EngineUnreachableError
"""

from glm3edge.errors import EngineLostError, Glm3EdgeError


class EngineUnfitError(Glm3EdgeError):
    """A server cannot be used as an engine.

    Attributes:
        url: the server's.
        reason: what it lacks, and what to do.
    """

    exit_code = 2

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"--engine {url}: {reason}")
        self.url = url
        self.reason = reason


class EngineUnreachableError(EngineLostError):
    """A remote engine does not answer, or has stopped in the middle of a reply.

    Its message, which clients get, has no address.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.args = (f"the engine cannot be used at the moment: {reason}",)
