"""Host and Origin checks, against requests that other sites' pages make through a browser.

A page of any site can make its visitor's browser send requests to this machine.

* It can point its own name at 127.0.0.1 once it is loaded (DNS rebinding). To the browser the
  server then has the page's own origin, and CORS does not apply; but the Host header has the page's
  name.
* It can post without a preflight, if the body is declared as a form or as plain text. CORS keeps
  the page from reading the reply, not the server from doing the work; but the Origin header has the
  page's origin.

Programs that are no browsers (curl, OpenAI's clients) send the server's own Host and no Origin.
"""

import re

from starlette.requests import HTTPConnection

from glm3edge.config.addresses import canonical, host_of, is_local, is_wildcard
from glm3edge.config.settings import LOCAL_ORIGINS, Settings
from glm3edge.server.request_errors import HostNotAllowedError, OriginNotAllowedError


class HostCheck:
    """Refuses requests whose Host header is not a name of this server."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = {canonical(settings.host), *settings.allowed_hosts}
        # A server on all addresses cannot know its names; and a page has no key to send.
        is_guarded = is_wildcard(settings.host) and settings.api_key is not None
        self._allows_all = is_guarded or "*" in self._allowed

    def __call__(self, connection: HTTPConnection) -> None:
        """Check one request.

        Raises:
            HostNotAllowedError: its Host header is missing, repeated, or not a name of this server.
        """
        if self._allows_all:
            return
        headers = connection.headers.getlist("host")
        host = host_of(headers[0]) if len(headers) == 1 else None
        if host is None or not (host in self._allowed or is_local(host)):
            raise HostNotAllowedError(host)


class OriginCheck:
    """Refuses requests of web pages unless they are of this machine, this server, or allowed.

    ``Origin: null`` (files, sandboxed frames) can be any page's, so it is refused unless allowed.
    """

    def __init__(self, settings: Settings) -> None:
        self._allowed = settings.cors_origins

    def __call__(self, connection: HTTPConnection) -> None:
        """Check one request.

        Raises:
            OriginNotAllowedError: it comes from a page whose origin is not allowed.
        """
        host = connection.headers.get("host", "")
        for origin in connection.headers.getlist("origin"):
            if not self._is_allowed(origin, host):
                raise OriginNotAllowedError(origin)

    def _is_allowed(self, origin: str, host: str) -> bool:
        return (
            origin in self._allowed
            or "*" in self._allowed
            or re.fullmatch(LOCAL_ORIGINS, origin) is not None
            or origin in (f"http://{host}", f"https://{host}")  # https: behind a proxy
        )
