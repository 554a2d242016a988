"""HTTP to servers of OpenAI's routes: addresses, keys, certificates, server-sent events."""

import os
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx

from glm3edge.config.addresses import is_local
from glm3edge.errors import ConfigError

_CONNECT_SECONDS = 10.0
_EVENT_BYTES = 2**24  # a line longer than this is no event


def base_url(text: str, *, option: str) -> httpx.URL:
    """Address of OpenAI's routes, which ``option`` gives; its ``/v1`` may be left out.

    Raises:
        ConfigError: it is no address.
    """
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL as exc:
        raise ConfigError(f"{option} {text}: {exc}") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"{option} {text}: give an address, such as http://127.0.0.1:8000/v1")
    path = url.path.rstrip("/") or "/v1"
    return url.copy_with(path=path)


def client_options(
    url: httpx.URL, api_key: str | None, *, read_seconds: float | None = None
) -> dict[str, Any]:
    """Options of an httpx client for the server at ``url``.

    Raises:
        ConfigError: the certificates of the environment cannot be read.
    """
    return {
        "headers": {} if api_key is None else {"Authorization": f"Bearer {api_key}"},
        "timeout": httpx.Timeout(_CONNECT_SECONDS, read=read_seconds),  # prompts may take long
        "trust_env": not is_local(url.host),  # no proxy leads to this machine
        "verify": url.scheme == "https" and _tls(),  # certificates take long to load
    }


def _tls() -> ssl.SSLContext:
    """Trust in httpx's authorities or those of ``SSL_CERT_FILE``, and in this machine's."""
    try:
        context = httpx.create_ssl_context()
    except OSError as exc:
        name = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
        raise ConfigError(f"the certificates of {name} cannot be read: {exc}") from exc
    context.load_default_certs()
    return context


def reason_of(exc: Exception) -> str:
    """What went wrong, in a few words."""
    return str(exc) or type(exc).__name__


async def events(response: httpx.Response) -> AsyncIterator[bytes]:
    """Data of server-sent events. Only line feeds end lines: JSON may contain other line ends.

    Raises:
        httpx.HTTPError: the connection fails, or an event has no end.
    """
    rest = b""
    async for data in response.aiter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > _EVENT_BYTES:
            raise httpx.RemoteProtocolError("the server sent an event that does not end")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
