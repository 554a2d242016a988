"""Process of llama.cpp's RPC server, seen from its parent.

llama.cpp's server is one call that never returns, blocks signals, and may end its process over what
a client sends. So it has a process of its own, which can be ended and restarted at any time.
"""

import json
import logging
import os
import re
import select
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm3edge.errors import DeviceError
from glm3edge.llama.devices import Device, DeviceKind

logger = logging.getLogger(__name__)

_LOG_LINE = re.compile(r"\t(\d+)\t(.*)")  # child.LOG_FORMAT
_PLACE = re.compile(r"^\S+\.\w+:\d+: ")  # in llama.cpp's source
_END_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Configuration of a worker.

    Attributes:
        host: numeric address to listen on (IPv4).
        port: to listen on.
        devices: names of those to offer; none for those that llama.cpp would choose.
        num_threads: compute threads of the CPU.
    """

    host: str
    port: int
    devices: tuple[str, ...]
    num_threads: int

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"


class RpcServerProcess:
    """Server process; ``fileno()`` is readable when it has a message or has ended."""

    def __init__(self, config: WorkerConfig, *, cache_folder: Path | None = None) -> None:
        self._address = config.address
        self._process = subprocess.Popen(
            [sys.executable, "-m", "glm3edge.commands.worker.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent
        )
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        if stdin is None or stdout is None or stderr is None:
            raise RuntimeError("pipes were asked for")
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        self._last_lines: deque[str] = deque(maxlen=8)
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()
        options = {
            "address": config.address,
            "devices": config.devices,
            "num_threads": config.num_threads,
            "cache_folder": cache_folder and str(cache_folder),
            "log_level": logging.getLogger().getEffectiveLevel(),
        }
        with suppress(BrokenPipeError):  # it has ended, which devices() reports
            stdin.write(json.dumps(options).encode() + b"\n")
            stdin.flush()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def fileno(self) -> int:
        return self._stdout.fileno()

    def devices(self) -> list[Device]:
        """Devices that it offers, once it listens.

        Raises:
            DeviceError: it cannot listen.
        """
        line = self._stdout.readline()
        if not line:
            raise DeviceError(f"llama.cpp cannot serve on {self._address}: {self.exit_reason()}")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise DeviceError(message["error"])
        return [
            Device(**{**fields, "kind": DeviceKind[fields["kind"]]})
            for fields in message["devices"]
        ]

    def exit_reason(self) -> str:
        """Reason why the process has ended, in a line."""
        try:
            code: int | str = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            code = "nothing"
        self._reader.join(_END_SECONDS)
        lines = [line for line in self._last_lines if line]
        return _PLACE.sub("", lines[-1]) if lines else f"its process ended with {code}"

    def close(self) -> None:
        """Kill the process. Idempotent."""
        self._process.kill()
        self._process.wait()
        self._reader.join(_END_SECONDS)
        with suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()
        self._stderr.close()

    def _read_lines(self) -> None:
        for data in self._stderr:
            line = data.decode("utf-8", errors="replace").rstrip()
            match = _LOG_LINE.fullmatch(line)
            level, text = (int(match[1]), match[2]) if match else (logging.DEBUG, line.strip())
            logger.log(level, "%s", text)
            self._last_lines.append(text)


class StopSignal:
    """Signal handler that can be waited for; ``fileno()`` is readable once the signal arrives."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._has_arrived = False

    def __call__(self, *_signal: object) -> None:
        self._has_arrived = True
        os.write(self._writer, b".")

    def fileno(self) -> int:
        return self._reader

    def close(self) -> None:
        """Close it; it must not be a signal's handler any more."""
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, server: RpcServerProcess | None = None, *, seconds: float | None = None) -> bool:
        """Wait for the signal, or for ``server`` to send a message or end, at most ``seconds``.

        Returns:
            Whether one of these has happened in time.
        """
        waited_for = [self.fileno()] + ([] if server is None else [server.fileno()])
        return bool(select.select(waited_for, [], [], seconds)[0])

    def __bool__(self) -> bool:
        """Whether the signal has arrived."""
        return self._has_arrived
