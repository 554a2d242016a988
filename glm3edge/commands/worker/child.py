"""Program of the process that runs llama.cpp's RPC server; ``rpc_process`` starts it.

It reads its options as a line of JSON from standard input, reports by such a line on standard
output that it listens, or why it does not, and ends when standard input does. What llama.cpp prints
goes to standard error, between the lines of the log.
"""

import json
import logging
import os
import socket
import stat
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from glm3edge.errors import Glm3EdgeError
from glm3edge.llama.child_process import forbid_core_dumps
from glm3edge.llama.rpc_server import offered_devices, serve_devices

LOG_FORMAT = "\t%(levelno)d\t%(message)s"
"""Format of log lines, which tells them from lines that llama.cpp prints."""

_POLL_SECONDS = 0.02
_FILES = range(3, 256)  # more are not open when it begins to listen

# A client whose machine was switched off blocks the worker for so long.
_IDLE_SECONDS, _PROBE_SECONDS, _NUM_PROBES = 30, 10, 3


def main() -> None:
    """Serve until standard input ends."""
    messages = _take_stdout()
    options = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    logging.basicConfig(level=options["log_level"], format=LOG_FORMAT)
    forbid_core_dumps()
    try:
        found = offered_devices(options["devices"])
    except Glm3EdgeError as exc:
        _send(messages, {"error": str(exc)})
        return
    server = threading.Thread(
        target=serve_devices,
        args=([device.name for device in found], options["address"]),
        kwargs={
            "num_threads": options["num_threads"],
            "cache_folder": options["cache_folder"] and Path(options["cache_folder"]),
        },
        daemon=True,
    )
    server.start()
    if _wait_listening(server):
        _send(messages, {"devices": [{**asdict(d), "kind": d.kind.name} for d in found]})
    server.join()
    sys.exit(1)


def _take_stdout() -> TextIO:
    """Take standard output for messages; what is printed goes to standard error instead."""
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return messages


def _send(messages: TextIO, message: dict[str, Any]) -> None:
    print(json.dumps(message), file=messages, flush=True)


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


def _wait_listening(server: threading.Thread) -> bool:
    """Wait until llama.cpp listens and prepare its socket; False if it ends before."""
    while server.is_alive():
        for number in _FILES:
            with suppress(OSError):
                if _is_listening(number):
                    _prepare(number)
                    return True
        time.sleep(_POLL_SECONDS)
    return False


def _is_listening(number: int) -> bool:
    if not stat.S_ISSOCK(os.fstat(number).st_mode):
        return False
    with socket.socket(fileno=os.dup(number)) as sock:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _prepare(number: int) -> None:
    """Set a longer backlog and keep-alive on the socket, which llama.cpp does not.

    Its backlog is two connections, so that a few which only check whether it is there shut out all
    others until its client leaves; and without keep-alive it waits for ever for a client that was
    switched off. Connections inherit the options of the listening socket.
    """
    with socket.socket(fileno=os.dup(number)) as sock:
        sock.listen(socket.SOMAXCONN)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", _IDLE_SECONDS),
            ("TCP_KEEPALIVE", _IDLE_SECONDS),  # the same, as macOS calls it
            ("TCP_KEEPINTVL", _PROBE_SECONDS),
            ("TCP_KEEPCNT", _NUM_PROBES),
        ):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


if __name__ == "__main__":
    main()
