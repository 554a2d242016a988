"""Fake devices: llama.cpp plans with them as with GPUs that this machine does not have.

Each is the CPU behind an RPC server of llama.cpp, on loopback and in this process. With
``no_alloc`` nothing is stored or computed there, so it does not matter what they really are.
"""

import ctypes
import socket
import threading
import time

from glm3edge.errors import DeviceError
from glm3edge.llama import ggml
from glm3edge.llama.devices import CPU, Device, add_worker, handle_of

_ATTEMPTS = 3
_SECONDS = 10.0


def add_fake_devices(number: int) -> list[Device]:
    """Add ``number`` fake devices to ``devices()`` for the life of this process; returns them.

    Raises:
        DeviceError: llama.cpp was built without RPC, or nothing can listen on loopback.
    """
    if not ggml.has_library("ggml-rpc"):
        raise DeviceError(
            "planning with a GPU that is not here takes llama.cpp's RPC, which it was built "
            "without: install with scripts/install.sh"
        )
    for _ in range(_ATTEMPTS):  # another program may take the port before the worker does
        address = f"127.0.0.1:{_free_port()}"
        worker = threading.Thread(target=_serve, args=(address, number), daemon=True)
        worker.start()
        if _is_up(address, worker):
            return add_worker(address)
    raise DeviceError("nothing can listen on 127.0.0.1")


def _serve(address: str, number: int) -> None:
    devices = (ctypes.c_void_p * number)(*[handle_of(CPU)] * number)
    ggml.function("ggml_backend_rpc_start_server")(address.encode(), None, 1, number, devices)


def _is_up(address: str, worker: threading.Thread) -> bool:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + _SECONDS
    while worker.is_alive() and time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
