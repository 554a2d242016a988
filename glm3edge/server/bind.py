"""The listening socket, bound before the model is loaded."""

import socket

from glm3edge.config.settings import Settings
from glm3edge.errors import ConfigError


def bind(settings: Settings) -> socket.socket:
    """Bind a socket to the configured address and listen; port 0 takes any free one.

    It listens at once since Linux would let another process bind to the same port until then.
    Clients that connect while the model is loaded wait for it.

    Raises:
        ConfigError: the address is in use, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.host, settings.port))
        sock.listen(socket.SOMAXCONN)
    except OSError as exc:
        sock.close()
        address = f"{settings.host}:{settings.port}"
        reason = exc.strerror or str(exc)
        raise ConfigError(f"cannot listen on {address}: {reason}; try another --port") from exc
    return sock
