"""Run of ``glm3edge worker``: serves until a signal, and restarts llama.cpp if it fails."""

import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from glm3edge.commands.worker.rpc_process import RpcServerProcess, StopSignal, WorkerConfig
from glm3edge.commands.worker.tensor_cache import TensorCache
from glm3edge.errors import ConfigError, DeviceError
from glm3edge.llama.devices import Device

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 1.0
_MAX_PAUSE_SECONDS = 32.0
_SUSPEND_SECONDS = 1.0
_ENDED = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


def free_address(host: str, port: int) -> tuple[str, int]:
    """Numeric address and port that can be listened on; port 0 takes any free one.

    Raises:
        ConfigError: the address is in use, or not this machine's.
    """
    try:
        address = socket.getaddrinfo(host or None, port, socket.AF_INET, socket.SOCK_STREAM)[0][4]
    except OSError as exc:
        raise ConfigError(
            f"--host {host}: give a name or an IPv4 address of this machine; llama.cpp's workers "
            "do not support IPv6"
        ) from exc
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
            sock.listen()  # what another listens on can be bound to on some systems
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise ConfigError(
                f"cannot listen on {host}:{port}: {reason}; try another --port"
            ) from exc
        found_host, found_port = sock.getsockname()
    return found_host, found_port


def run(
    config: WorkerConfig, cache: TensorCache | None, *, on_ready: Callable[[list[Device]], None]
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        config: devices and address.
        cache: of tensors; None keeps none.
        on_ready: called once, with the devices, when clients can connect.

    Raises:
        ConfigError: the address is in use.
        DeviceError: llama.cpp cannot start, for another reason.
    """
    pause, has_started = 1.0, False
    with _stop_signal() as stop:
        while not stop:
            try:
                with _session(config, cache) as server:
                    devices = server.devices() if stop.wait(server) and not stop else None
                    if devices is None:
                        break
                    if not has_started:
                        on_ready(devices)
                    pause, has_started = 1.0, True
                    _wait(stop, server, cache)
                    reason = server.exit_reason() if not stop else ""
            except DeviceError as exc:
                if not has_started:
                    free_address(config.host, config.port)  # it may have been taken meanwhile
                    raise
                reason = str(exc)
            if not stop:
                logger.warning("llama.cpp has ended and is restarted: %s", reason)
                stop.wait(seconds=pause)
                pause = min(2 * pause, _MAX_PAUSE_SECONDS)


def _wait(stop: StopSignal, server: RpcServerProcess, cache: TensorCache | None) -> None:
    """Wait until the signal arrives or the process ends, and watch the disk space meanwhile."""
    while cache is not None and not stop.wait(server, seconds=_WATCH_SECONDS):
        if not cache.watch():
            logger.warning("the disk is nearly full: further tensors are not kept")
            cache = None
    stop.wait(server)


@contextmanager
def _session(config: WorkerConfig, cache: TensorCache | None) -> Iterator[RpcServerProcess]:
    """Run a server process, and keep the tensors that it was sent if nothing failed."""
    server = RpcServerProcess(config, cache_folder=None if cache is None else cache.open())
    is_alive = False
    unfinished: list[Path] = []
    try:
        yield server
    finally:
        if cache is not None:
            is_alive, unfinished = _suspend(server.pid)
        server.close()
        if cache is not None:
            cache.keep(unfinished) if is_alive else cache.discard()


def _suspend(pid: int) -> tuple[bool, list[Path]]:
    """Suspend a process; whether it was alive, and the files that it had open."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        process.suspend()
        deadline = time.monotonic() + _SUSPEND_SECONDS
        while (status := process.status()) != psutil.STATUS_STOPPED:
            if status in _ENDED or time.monotonic() > deadline:
                return False, []
            time.sleep(0.001)
        return True, [Path(file.path) for file in process.open_files()]
    return False, []


@contextmanager
def _stop_signal() -> Iterator[StopSignal]:
    """Handle SIGINT and SIGTERM by a ``StopSignal`` that can be waited for."""
    stop = StopSignal()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        stop.close()
