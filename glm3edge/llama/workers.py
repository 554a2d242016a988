"""Workers' addresses: machines whose devices llama.cpp computes on through RPC."""

import socket
from collections.abc import Sequence

_SECONDS = 3.0


def worker_problem(addresses: Sequence[str], *, are_busy: bool = False) -> str | None:
    """Reason why a worker cannot be reached, naming the first such; None if all can.

    If they ``are_busy``, one that does not answer counts as reachable: llama.cpp's server takes one
    connection after the other, and lets few of them wait.
    """
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_SECONDS).close()
        except TimeoutError:
            if not are_busy:
                return f"the worker {address} cannot be reached (it does not answer)"
        except (OSError, UnicodeError) as exc:  # UnicodeError: no valid host name
            reason = exc.strerror if isinstance(exc, OSError) else None
            return f"the worker {address} cannot be reached ({reason or exc})"
    return None


def find_duplicate(addresses: Sequence[str]) -> tuple[str, str] | None:
    """The first two addresses that resolve to the same worker, None if all differ."""
    seen: dict[object, str] = {}
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            resolved = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            continue
        for *_, endpoint in resolved:
            if seen.setdefault(endpoint, address) != address:
                return seen[endpoint], address
    return None
