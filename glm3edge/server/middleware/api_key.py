"""API key check; /health, the API docs and the chat page need no key."""

import hmac
from collections.abc import Iterator

from pydantic import SecretStr
from starlette.requests import HTTPConnection

from glm3edge.server import chat_page
from glm3edge.server.request_errors import AuthenticationError

_PUBLIC_PATHS = frozenset({"/health", "/docs", "/redoc", "/openapi.json"}) | chat_page.PATHS
_PUBLIC_FOLDER = "/static/"


class KeyCheck:
    """Refuses requests without the API key.

    It may come as OpenAI's clients send it, ``Authorization: Bearer KEY``, or as Anthropic's do,
    ``x-api-key: KEY``.
    """

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def __call__(self, connection: HTTPConnection) -> None:
        """Check one request.

        Raises:
            AuthenticationError: it has no key, or a wrong one.
        """
        path = connection.scope["path"]
        if path in _PUBLIC_PATHS or path.startswith(_PUBLIC_FOLDER):
            return
        given = list(_keys(connection.headers.raw))
        if not any(self._is_right(key) for key in given):
            raise AuthenticationError(is_missing=not given)

    def _is_right(self, given: bytes) -> bool:
        """Compare in constant time; in bytes, since a header may hold any."""
        return hmac.compare_digest(given, self._key.get_secret_value().encode())


def _keys(headers: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for name, value in headers:
        if name == b"x-api-key":
            yield value.strip()
        elif name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                yield token.strip()
