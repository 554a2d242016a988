"""Host names: parsing, whether they are local; addresses of workers."""

import re
import socket
from ipaddress import ip_address, ip_network

DEFAULT_WORKER_PORT = 50052
"""Port of llama.cpp's RPC server."""

# A Host header (RFC 9110, 7.2), except percent signs and zones, which no browser sends.
_AUTHORITY = re.compile(
    r"(?P<host>\[[0-9a-f.]*:[0-9a-f:.]*\]|[a-z0-9._~-]+)(:[0-9]*)?", re.IGNORECASE
)
_LOCAL_NETWORKS = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def host_of(authority: str) -> str | None:
    """Host of a Host header, in the form of ``canonical()``; None if the header is invalid."""
    match = _AUTHORITY.fullmatch(authority)
    return None if match is None else canonical(match["host"])


def canonical(host: str) -> str:
    """Canonical form of a name or address: lower case, no brackets, IPv6 as short as ``::1``."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ip_address(bare))
    except ValueError:
        return bare.lower()


def is_local(host: str) -> bool:
    """Whether ``host`` can be reached from this machine only: localhost, 127.0.0.0/8, ::1."""
    name = canonical(host)
    try:
        address = ip_address(name)
    except ValueError:
        return name == "localhost"
    return any(address in network for network in _LOCAL_NETWORKS)


def is_wildcard(host: str) -> bool:
    """Whether ``host`` stands for all addresses of this machine: 0.0.0.0, ::."""
    try:
        return ip_address(canonical(host)).is_unspecified
    except ValueError:
        return False


def network_address() -> str | None:
    """Address of this machine by which others in its network reach it; None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing: the system only chooses a route
            return str(sock.getsockname()[0])
        except OSError:
            return None


def parse_address(text: str) -> str:
    """Parse a worker's address to ``host:port``, with the default port if it has none.

    Raises:
        ValueError: it is no address.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        host, port = port, str(DEFAULT_WORKER_PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 2**16 or "/" in host:
        raise ValueError(f"{text!r} is not a worker's address: write host:port")
    if ":" in host:
        raise ValueError(
            f"{text!r}: llama.cpp accepts no IPv6 address here; write a name or an IPv4 address"
        )
    return f"{host}:{port}"
