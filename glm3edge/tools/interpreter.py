"""Code interpreter: runs the model's Python in a sandboxed process.

    start -> READY -> cell ends                  -> READY, suspended until the next cell
                   -> timeout, too much output   -> killed, started again for the next cell
                   -> process ends, or is killed -> started again for the next cell

Variables are kept as long as the process lives; a result says when they are lost. The cells of a
process are one program: what one of them does can change what the next one prints.
"""

import asyncio
import json
import secrets
import signal
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from contextlib import suppress
from types import TracebackType
from typing import Any

from glm3edge.schema.chat import INTERPRETER
from glm3edge.tools.errors import SandboxError, ToolError
from glm3edge.tools.sandbox import (
    OTHER_SYSTEMS_REMEDY,
    REMEDY,
    Limits,
    Sandbox,
    environment,
    find_sandboxes,
)
from glm3edge.tools.shortening import shortened
from glm3edge.tools.tool import Tool
from glm3edge_convert.printable import printable

_START_SECONDS, _END_SECONDS = 20.0, 5.0
_LOST = "variables are lost, the next code starts afresh"
_DESCRIPTION = (
    "Run Python code and see its output. Variables are kept between calls. "
    "There is no network, and there are no files but those that the code writes."
)
_PARAMETERS = {
    "type": "object",
    "properties": {"code": {"type": "string", "description": "Python code"}},
    "required": ["code"],
}


class _EndedError(Exception):
    """The process ended before the cell did."""


class _OutputLimitError(Exception):
    """A cell wrote more than its limit."""


class CodeInterpreter:
    """A Python process in the first sandbox that works here; an async context manager.

    Attributes:
        sandbox: the one that is used, once entered.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._process: Process | None = None
        self._lock = asyncio.Lock()
        self._output = bytearray()
        self._seconds_left = self._limits.total_seconds
        self.sandbox: Sandbox | None = None

    @property
    def tool(self) -> Tool:
        """The tool by which ChatGLM3 was trained to call it."""
        return Tool(INTERPRETER, _DESCRIPTION, _PARAMETERS, self._call)

    async def __aenter__(self) -> "CodeInterpreter":
        """Start its process.

        Raises:
            SandboxError: no sandbox works on this system.
        """
        candidates, reasons = find_sandboxes(self._limits)
        for sandbox in candidates:
            self.sandbox = sandbox
            try:
                await self._start()
            except (OSError, ToolError) as exc:
                reasons.append(f"{sandbox.name}: {exc}")
            else:
                return self
        raise SandboxError(reasons, REMEDY if candidates else OTHER_SYSTEMS_REMEDY)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End its process."""
        await self._kill()

    async def run(self, code: str) -> str:
        """Run ``code``; returns its output with the value of its last expression, or a traceback.

        Raises:
            ToolError: its process cannot be started again, or all cells together have had their
                time.
        """
        async with self._lock:
            if self._seconds_left <= 0:
                total = self._limits.total_seconds
                raise ToolError(f"its code has run for {total:g} s in all: start the chat again")
            if self._process is None:
                await self._start()
            start = time.monotonic()
            try:
                text, note = await self._run_noted(code)
            finally:
                self._seconds_left -= time.monotonic() - start
        text = shortened(printable(text).strip("\n"), self._limits.output_chars)
        return "\n".join(filter(None, (text, note))) or "(no output)"

    async def _call(self, arguments: dict[str, Any]) -> str:
        code = arguments.get("code")
        if not isinstance(code, str):
            raise ToolError("the call has no code")
        return await self.run(code)

    async def _run_noted(self, code: str) -> tuple[str, str]:
        """The output, and a note if the cell did not end by itself."""
        limits = self._limits
        try:
            return await asyncio.wait_for(self._exchange(code), limits.seconds), ""
        except asyncio.TimeoutError:
            note = f"stopped after {limits.seconds:g} s; {_LOST}"
        except _OutputLimitError:
            note = f"stopped: it wrote more than {limits.output_bytes} bytes; {_LOST}"
        except _EndedError:
            note = f"the process ended ({await self._exit_reason()}); {_LOST}"
        except BaseException:  # canceled in the middle of a cell
            await self._kill()
            raise
        text = self._output.decode(errors="replace")
        await self._kill()
        return text, f"[{note}]"

    async def _start(self) -> None:
        """Start the process and let it run an empty cell."""
        assert self.sandbox is not None  # noqa: S101 - entered
        self._process = await asyncio.create_subprocess_exec(
            *self.sandbox.command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            env=environment(),
            cwd="/",
            start_new_session=True,  # Ctrl-C goes to the chat only
        )
        try:
            await asyncio.wait_for(self._exchange(""), _START_SECONDS)
        except asyncio.TimeoutError:
            await self._kill()
            raise ToolError(f"did not start within {_START_SECONDS:g} s") from None
        except (_EndedError, _OutputLimitError):
            lines = printable(self._output.decode(errors="replace")).strip().splitlines()
            await self._kill()
            raise ToolError(lines[-1] if lines else "ended without a message") from None
        except BaseException:
            await self._kill()
            raise

    async def _exchange(self, code: str) -> str:
        """Send a cell and read its output up to the marker."""
        process = self._process
        assert process is not None  # noqa: S101
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        marker = secrets.token_hex(16)
        self._output = bytearray()
        process.stdin.write(json.dumps({"code": code, "marker": marker}).encode() + b"\n")
        with suppress(ConnectionError):
            await process.stdin.drain()
        end = f"\n{marker}\n".encode()
        while chunk := await process.stdout.read(65536):
            searched = max(0, len(self._output) - len(end))
            self._output += chunk
            if (place := self._output.find(end, searched)) >= 0:
                return self._output[:place].decode(errors="replace")
            if len(self._output) > self._limits.output_bytes:
                raise _OutputLimitError
        raise _EndedError

    async def _exit_reason(self) -> str:
        assert self._process is not None  # noqa: S101
        code = await self._process.wait()
        number = -code if code < 0 else code - 128
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return "killed: too much processor time, or memory"
        with suppress(ValueError):
            return signal.Signals(number).name
        return f"exit code {code}"

    async def _kill(self) -> None:
        """Kill the process; the sandbox ends all that it started, too."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_read_to_end(process), _END_SECONDS)
        await process.wait()


async def _read_to_end(process: Process) -> None:
    """Read until the pipe closes: then every process in the sandbox has ended."""
    assert process.stdout is not None  # noqa: S101
    while await process.stdout.read(65536):
        pass
