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
        except OSError as exc:
            return f"the worker {address} cannot be reached ({exc.strerror or exc})"
    return None
