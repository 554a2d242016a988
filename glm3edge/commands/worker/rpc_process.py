"""RpcServerProcess: the process in which llama.cpp serves, as its parent sees it.

llama.cpp's server is one call that never returns, keeps signals waiting, and ends its process over
what a client sends. So it has a process of its own, which can be ended at any time and begun anew.
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

_LOG_LINE = re.compile(r"\t(\d+)\t(.*)")  # process.LOG_FORMAT
_PLACE = re.compile(r"^\S+\.\w+:\d+: ")  # in llama.cpp's source
_END_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker offers.

    Attributes:
        host: address to listen on, in numbers (IPv4).
        port: to listen on.
        devices: names; none for those that llama.cpp would choose.
        num_threads: compute threads of the CPU.
    """

    host: str
    port: int
    devices: tuple[str, ...]
    num_threads: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class RpcServerProcess:
    """A running process; ``fileno()`` can be waited on for what it says and for its end."""

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
        with suppress(BrokenPipeError):  # it has ended; whoever waits will see
            stdin.write(json.dumps(options).encode() + b"\n")
            stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        return self._stdout.fileno()

    def devices(self) -> list[Device]:
        """What it offers, once it listens.

        Raises:
            DeviceError: it does not come to that.
        """
        line = self._stdout.readline()
        if not line:
            raise DeviceError(f"llama.cpp cannot serve on {self._address}: {self.last_words()}")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise DeviceError(message["error"])
        return [
            Device(**{**fields, "kind": DeviceKind[fields["kind"]]})
            for fields in message["devices"]
        ]

    def last_words(self) -> str:
        """Why the process has ended, in a line."""
        try:
            code: int | str = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            code = "nothing"
        self._reader.join(_END_SECONDS)
        lines = [line for line in self._last_lines if line]
        return _PLACE.sub("", lines[-1]) if lines else f"its process ended with {code}"

    def close(self) -> None:
        """End the process at once. Idempotent."""
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


class Stop:
    """A signal's handler that wakes whoever waits for it; ``fileno()`` can be waited on."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._is_asked = False

    def __call__(self, *_signal: object) -> None:
        self._is_asked = True
        os.write(self._writer, b".")

    def fileno(self) -> int:
        return self._reader

    def close(self) -> None:
        """Free it; it must handle no signal any more."""
        os.close(self._reader)
        os.close(self._writer)

    def wait(
        self, serving: RpcServerProcess | None = None, *, seconds: float | None = None
    ) -> bool:
        """Wait for the signal, for ``serving`` to say something or to end, or so many seconds.

        Returns:
            Whether there is nothing more to wait for: the signal came, or ``serving`` spoke.
        """
        waited_for = [self.fileno()] + ([] if serving is None else [serving.fileno()])
        return bool(select.select(waited_for, [], [], seconds)[0])

    def __bool__(self) -> bool:
        """Whether the signal has come."""
        return self._is_asked
