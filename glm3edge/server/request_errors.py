"""Errors of requests that are refused before any route.

RequestError
├── BodyTooLargeError
├── ContentEncodingError      the body is compressed
├── HeadersTooLargeError
├── RequestTimeoutError       the client stopped sending it
├── TooManyConnectionsError
├── ServerStartingError       there is no model yet
├── AuthenticationError       no API key, or a wrong one
├── HostNotAllowedError       the Host header is not this server's
└── OriginNotAllowedError     sent by a web page of another origin
"""

from glm3edge.errors import RequestError
from glm3edge.schema.errors import StartProgress


class BodyTooLargeError(RequestError):
    """The body exceeds the limit.

    Attributes:
        max_bytes: the limit.
    """

    def __init__(self, *, max_bytes: int) -> None:
        super().__init__(
            f"the body has more than {max_bytes} bytes, which is this server's limit (--max-body)"
        )
        self.max_bytes = max_bytes


class ContentEncodingError(RequestError):
    """The body has a Content-Encoding.

    Attributes:
        encoding: the header's value.
    """

    def __init__(self, encoding: str) -> None:
        super().__init__(
            f"Content-Encoding: {encoding} is not supported: send the body as it is, without this "
            "header"
        )
        self.encoding = encoding


class HeadersTooLargeError(RequestError):
    """The request line and the headers exceed their limits.

    Attributes:
        max_bytes: limit of their length, together.
        max_headers: limit of the number of headers.
    """

    def __init__(self, *, max_bytes: int, max_headers: int) -> None:
        super().__init__(
            f"the request line and headers have more than {max_bytes} bytes, or there are more "
            f"than {max_headers} headers; send what is long in the body"
        )
        self.max_bytes = max_bytes
        self.max_headers = max_headers


class RequestTimeoutError(RequestError):
    """The request did not arrive.

    Attributes:
        seconds: how long the server waited.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the request did not arrive within {seconds:g} seconds; send it again")
        self.seconds = seconds


class TooManyConnectionsError(RequestError):
    """Other connections, all with requests being answered, are too many.

    Attributes:
        max_connections: limit of their number.
    """

    def __init__(self, *, max_connections: int) -> None:
        super().__init__(
            f"more than {max_connections} connections have requests that are being answered; retry "
            "when some have ended"
        )
        self.max_connections = max_connections


class ServerStartingError(RequestError):
    """The server has no model yet.

    Attributes:
        progress: of the start.
        retry_after: seconds after which a retry may succeed.
    """

    def __init__(self, progress: StartProgress, *, retry_after: int) -> None:
        done, total, left = progress.bytes_done, progress.bytes_total, progress.seconds_left
        share = f", {100 * done // total}% of {total / 2**20:,.0f} MiB" if done and total else ""
        rest = "" if left is None else f", about {left} s left"
        super().__init__(
            f"the server is still {progress.phase} its model{share}{rest}; "
            f"try again in {retry_after} s"
        )
        self.progress = progress
        self.retry_after = retry_after


class AuthenticationError(RequestError):
    """The request has no API key, or a wrong one; the message never repeats it.

    Attributes:
        is_missing: whether there was none.
    """

    def __init__(self, *, is_missing: bool) -> None:
        fault = "this server needs its API key" if is_missing else "the API key is wrong"
        super().__init__(f"{fault}: send it as Authorization: Bearer KEY, or as x-api-key: KEY")
        self.is_missing = is_missing


class HostNotAllowedError(RequestError):
    """The request's Host header is not known as a name of this server.

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
    """The request was sent by a web page whose origin is not allowed.

    Attributes:
        origin: the page's origin.
    """

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"pages of {origin} may not use this server, unless it is started with "
            f"--cors-origin {origin}"
        )
        self.origin = origin
