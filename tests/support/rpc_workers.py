"""Real workers for tests: processes that offer this machine's CPU through llama.cpp's RPC."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil
import pytest

from tests.support.ports import free_port

SECONDS = 60


@dataclass
class Worker:
    """A running worker; it can be killed and started again at the same address."""

    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> "Worker":
        """Start the process and wait until it listens."""
        command = [sys.executable, "-m", "glm3edge", "worker", "--port", str(self.port)]
        self.process = subprocess.Popen([*command, "--threads", "1"], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self
        raise AssertionError("the worker does not listen")

    def kill(self) -> None:
        """Kill it with all its processes, as if its machine lost power."""
        if self.process is not None:
            children = psutil.Process(self.process.pid).children() if self.is_alive else []
            self.process.kill()
            self.process.wait()
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            psutil.wait_procs(children, timeout=SECONDS)

    def freeze(self) -> None:
        """Stop all its processes by SIGSTOP, until ``thaw()``."""
        for process in self._processes():
            process.suspend()

    def thaw(self) -> None:
        """Continue them."""
        for process in self._processes():
            process.resume()

    def _processes(self) -> list[psutil.Process]:
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


def new_worker() -> Worker:
    """Start a worker on a free port."""
    return Worker(free_port()).start()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """A worker for the tests of a module."""
    worker = new_worker()
    yield worker
    worker.kill()
