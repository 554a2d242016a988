"""Errors of requests that no route ever sees.

RequestError
├── BodyTooLargeError
├── HeadersTooLargeError
├── AuthenticationError       no API key, or a wrong one
├── HostNotAllowedError       sent to a name that is not this server's
└── OriginNotAllowedError     sent by another's web page
"""

from glm3edge.errors import RequestError


class BodyTooLargeError(RequestError):
    """The body is longer than bodies may be.

    Attributes:
        max_bytes: how long they may be.
    """

    def __init__(self, *, max_bytes: int) -> None:
        super().__init__(
            f"the body has more than {max_bytes} bytes, which is this server's limit (--max-body)"
        )
        self.max_bytes = max_bytes


class HeadersTooLargeError(RequestError):
    """The request line and the headers are longer, or more, than they may be.

    Attributes:
        max_bytes: how long they may be, together.
        max_headers: how many headers there may be.
    """

    def __init__(self, *, max_bytes: int, max_headers: int) -> None:
        super().__init__(
            f"the request line and headers have more than {max_bytes} bytes, or there are more "
            f"than {max_headers} headers; send what is long in the body"
        )
        self.max_bytes = max_bytes
        self.max_headers = max_headers


class AuthenticationError(RequestError):
    """The request has no API key, or a wrong one, which is never repeated.

    Attributes:
        is_missing: whether there was none.
    """

    def __init__(self, *, is_missing: bool) -> None:
        fault = "this server needs its API key" if is_missing else "the API key is wrong"
        super().__init__(f"{fault}: send it as Authorization: Bearer KEY, or as x-api-key: KEY")
        self.is_missing = is_missing


class HostNotAllowedError(RequestError):
    """The request was sent to a name that is not known to be this server's.

    Attributes:
        host: the name in the Host header, None if there is no usable one.
    """

    def __init__(self, host: str | None) -> None:
        if host is None:
            message = "the request needs one Host header with a name or an address"
        else:
            message = (
                f"{host} is not known as a name of this server: use the address it listens on, "
                f"or start it with --allowed-hosts {host}"
            )
        super().__init__(message)
        self.host = host


class OriginNotAllowedError(RequestError):
    """The request was sent by a web page that may not use this server.

    Attributes:
        origin: the page's origin.
    """

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"pages of {origin} may not use this server, unless it is started with "
            f"--cors-origin {origin}"
        )
        self.origin = origin
