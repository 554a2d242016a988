"""Errors of responses that are not kept.

RequestError
├── ResponseNotFoundError
└── PreviousResponseNotFoundError
"""

from glm3edge.errors import RequestError


class ResponseNotFoundError(RequestError):
    """A response was never kept, or is no longer.

    Attributes:
        response_id: what it was asked for by.
    """

    def __init__(self, response_id: str) -> None:
        super().__init__(f"Response with id {response_id!r} not found.")
        self.response_id = response_id


class PreviousResponseNotFoundError(RequestError):
    """The response that a request follows is not kept.

    Attributes:
        response_id: what the request calls it.
    """

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Previous response with id {response_id!r} not found.", param="previous_response_id"
        )
        self.response_id = response_id
