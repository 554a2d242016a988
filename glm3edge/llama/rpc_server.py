"""llama.cpp's RPC server, which computes on this machine's devices for clients elsewhere."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

from glm3edge.errors import DeviceError
from glm3edge.llama import ggml
from glm3edge.llama.devices import Device, DeviceKind, devices, handle_of


def offered_devices(names: Sequence[str] = ()) -> list[Device]:
    """Devices with these ``names``; by default the GPUs, or else the CPU.

    Raises:
        DeviceError: there is no such device, or this build has no RPC.
    """
    if not ggml.has_library("ggml-rpc"):
        raise DeviceError("llama.cpp was built without RPC: install with scripts/install.sh")
    for name in names:
        handle_of(name)
    found = devices()
    if names:
        return [device for name in dict.fromkeys(names) for device in found if device.name == name]
    gpus = [device for device in found if device.is_offload]
    return gpus or [device for device in found if device.kind is DeviceKind.CPU]


def serve_devices(
    names: Sequence[str], address: str, *, num_threads: int, cache_folder: Path | None
) -> None:
    """Serve one client after another, for ever; returns only if it cannot listen.

    Args:
        names: of the devices.
        address: ``host:port`` to listen on; the host in numbers, IPv4.
        num_threads: compute threads of the CPU, if it is among the devices.
        cache_folder: cache of tensors of more than 10 MiB, each in a file named by its hash.
    """
    handles = [handle_of(name) for name in names]
    ggml.function("ggml_backend_rpc_start_server")(
        address.encode(),
        None if cache_folder is None else str(cache_folder).encode(),
        num_threads,
        len(handles),
        (ctypes.c_void_p * len(handles))(*handles),
    )
