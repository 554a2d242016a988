"""Workers: other machines whose devices llama.cpp computes on, by their addresses."""

import socket
from collections.abc import Sequence

DEFAULT_PORT = 50052
"""llama.cpp's, of its RPC server."""

_SECONDS = 3.0


def parse_address(text: str) -> str:
    """``host:port`` of a worker, with the usual port if it names none.

    Raises:
        ValueError: it is no such thing.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        host, port = port, str(DEFAULT_PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 2**16 or "/" in host:
        raise ValueError(f"{text!r} is no worker's address: write host:port")
    if ":" in host:
        raise ValueError(f"{text!r}: llama.cpp takes no IPv6 address here; write a name or IPv4")
    return f"{host}:{port}"


def why_unreachable(addresses: Sequence[str], *, are_busy: bool = False) -> str | None:
    """Which of the workers does not take connections, and why; None if all do.

    Where they ``are_busy``, one that does not answer counts as there: llama.cpp's own server takes
    one connection after the other, and lets few of them wait.
    """
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_SECONDS).close()
        except TimeoutError:
            if not are_busy:
                return f"the worker {address} cannot be reached (it does not answer)"
        except (OSError, UnicodeError) as exc:  # UnicodeError: no name can be so
            reason = exc.strerror if isinstance(exc, OSError) else None
            return f"the worker {address} cannot be reached ({reason or exc})"
    return None


def find_double(addresses: Sequence[str]) -> tuple[str, str] | None:
    """Two of the addresses that are one worker's, if there are such."""
    seen: dict[object, str] = {}
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            places = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            continue
        for *_, place in places:
            if seen.setdefault(place, address) != address:
                return seen[place], address
    return None
