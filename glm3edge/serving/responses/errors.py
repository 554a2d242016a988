"""Errors of responses that are not stored.

RequestError
├── ResponseNotFoundError
└── PreviousResponseNotFoundError
"""

from glm3edge.errors import RequestError


class ResponseNotFoundError(RequestError):
    """A response is not stored, or no longer.

    Attributes:
        response_id: id that was asked for.
    """

    def __init__(self, response_id: str) -> None:
        super().__init__(f"Response with id {response_id!r} not found.")
        self.response_id = response_id


class PreviousResponseNotFoundError(RequestError):
    """The response that a request follows is not stored.

    Attributes:
        response_id: id in the request.
    """

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Previous response with id {response_id!r} not found.", param="previous_response_id"
        )
        self.response_id = response_id
