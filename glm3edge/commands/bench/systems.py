"""Servers to benchmark: this one, and peers that are installed."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from glm3edge.commands.bench.client import BenchError
from glm3edge.config.sources import CONFIG_VARIABLE, PREFIX, as_variable, find_given

_START_SECONDS = 600


@dataclass(frozen=True, slots=True)
class System:
    """Server to benchmark.

    Attributes:
        name: in tables.
        command: starts it; ``{port}`` is filled in.
        health: path that answers once it is ready.
        keeping: options with which it restores its KV cache after a restart, if it can.
    """

    name: str
    command: tuple[str, ...]
    health: str = "/v1/models"
    keeping: tuple[str, ...] = ()

    @property
    def kept(self) -> "System | None":
        """The same server with a KV cache that survives a restart; None if it cannot."""
        return replace(self, command=self.command + self.keeping) if self.keeping else None


def glm3edge(
    model: Path, *, context_size: int, parallel: int, threads: int, cache: Path, options: str = ""
) -> System:
    """glm3edge's server."""
    command = (
        *(sys.executable, "-m", "glm3edge", "serve", str(model)),
        *("--host", "127.0.0.1", "--port", "{port}"),
        *("--ctx-size", str(context_size), "--parallel", str(parallel)),
        *("--threads", str(threads), "--cache-dir", str(cache)),
        *options.split(),
    )
    return System("glm3edge", command, health="/health", keeping=("--disk-cache", "4GiB"))


def llama_server(
    program: str, model: Path, *, context_size: int, parallel: int, threads: int
) -> System:
    """llama.cpp's own server, with one KV cache for all its slots, as ours has."""
    command = (
        *(program, "-m", str(model), "--port", "{port}", "-c", str(context_size)),
        *("-np", str(parallel), "--kv-unified", "-t", str(threads), "--embeddings", "--pooling"),
        "mean",
    )
    return System("llama-server", command, health="/health")


def llama_cpp_server(model: Path, *, context_size: int, threads: int) -> System:
    """llama-cpp-python's server."""
    command = (
        *(sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--port", "{port}"),
        *("--n_ctx", str(context_size), "--n_threads", str(threads)),
        *("--interrupt_requests", "false"),
    )
    return System("llama_cpp.server", command)


def peers(
    model: Path, *, program: str | None, context_size: int, parallel: int, threads: int
) -> Sequence[System]:
    """Peers that are installed; ``program`` is llama-server's path if it is not on PATH."""
    found = []
    if (path := program or shutil.which("llama-server")) is not None:
        found.append(
            llama_server(path, model, context_size=context_size, parallel=parallel, threads=threads)
        )
    if importlib.util.find_spec("starlette_context"):  # comes with llama-cpp-python[server] alone
        found.append(llama_cpp_server(model, context_size=context_size, threads=threads))
    return found


@dataclass(frozen=True, slots=True)
class Running:
    """Running server."""

    port: int
    pid: int


@contextmanager
def running(system: System) -> Iterator[Running]:
    """Start a server, wait until it answers, and stop it in the end.

    Raises:
        BenchError: it ended, or did not answer in time.
    """
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [part.replace("{port}", str(port)) for part in system.command]
    with tempfile.TemporaryFile("w+") as output:  # a pipe that is not read would fill up
        process = subprocess.Popen(command, stdout=output, stderr=output, env=_environment())
        try:
            _wait_for(system, port, process, output)
            yield Running(port, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()


def _environment() -> dict[str, str]:
    """Environment of this process, with the settings of its file, but without some of them.

    The benchmark's clients use neither keys nor TLS.
    """
    unused = {"api_key", "tls_cert", "tls_key", "open"}
    settings = (item for name, item in find_given({}).items() if name not in unused)
    others = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    return others | dict(map(as_variable, settings)) | {CONFIG_VARIABLE: os.devnull}


def _wait_for(
    system: System, port: int, process: "subprocess.Popen[bytes]", output: TextIO
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            output.seek(0)
            lines = output.read().strip().splitlines()[-3:]
            raise BenchError(
                f"{system.name} ended at once: {' '.join(lines) or 'it printed nothing'}"
            )
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{system.health}", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise BenchError(f"{system.name} did not answer within {_START_SECONDS} s")
