"""Error of threads, Anthropic's conversations that the server keeps.

RequestError
└── InvalidRequestError
    └── ThreadUnsupportedError
"""

from glm3edge.errors import InvalidRequestError


class ThreadUnsupportedError(InvalidRequestError):
    """A request asks for a thread. Anthropic's client then sends the whole conversation instead,
    if it is told to."""

    def __init__(self) -> None:
        super().__init__(
            "thread: conversations are not kept here; send all messages, without thread",
            param="thread",
        )
