"""Workers: other machines whose devices llama.cpp computes on, by their addresses."""

import socket
from collections.abc import Sequence

_SECONDS = 3.0


def worker_problem(addresses: Sequence[str], *, are_busy: bool = False) -> str | None:
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
