"""The code interpreter: the model's Python, in a process of its own, shut in.

    start -> READY -> cell ends               -> READY
                   -> too long, too much said -> killed, started again for the next cell
                   -> it ends, or is killed   -> started again for the next cell

Variables live as long as the process does; a result says when they are lost.
"""

import asyncio
import json
import secrets
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from contextlib import suppress
from types import TracebackType
from typing import Any

from glm3edge.schema.chat import INTERPRETER
from glm3edge.tools.errors import SandboxError, ToolError
from glm3edge.tools.sandbox import ELSEWHERE, REMEDY, Limits, Walls, environment, find_walls
from glm3edge.tools.sanitize import printable, shortened
from glm3edge.tools.tool import Tool

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
    """The process ended before the cell did; the argument is what it wrote."""


class _TooMuchError(Exception):
    """A cell wrote more than it may; the argument is what it wrote."""


class CodeInterpreter:
    """Enter it, then run code; it goes on to the next wall only while it starts.

    Attributes:
        walls: what it is shut in by, once entered.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._process: Process | None = None
        self._lock = asyncio.Lock()
        self._output = bytearray()
        self.walls: Walls | None = None

    @property
    def tool(self) -> Tool:
        """ChatGLM3's own tool."""
        return Tool(INTERPRETER, _DESCRIPTION, _PARAMETERS, self._call)

    async def __aenter__(self) -> "CodeInterpreter":
        """Start it.

        Raises:
            SandboxError: this system cannot shut it in.
        """
        candidates, reasons = find_walls(self._limits)
        for walls in candidates:
            self.walls = walls
            try:
                await self._start()
            except (OSError, ToolError) as exc:
                reasons.append(f"{walls.name}: {exc}")
            else:
                return self
        raise SandboxError(reasons, REMEDY if candidates else ELSEWHERE)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End its process."""
        await self._kill()

    async def run(self, code: str) -> str:
        """What ``code`` writes, the value of its last expression, a traceback.

        Raises:
            ToolError: its process cannot be started again.
        """
        async with self._lock:
            if self._process is None:
                await self._start()
            text, note = await self._run_noted(code)
        text = shortened(printable(text).strip("\n"), self._limits.output_chars)
        return "\n".join(filter(None, (text, note))) or "(no output)"

    async def _call(self, arguments: dict[str, Any]) -> str:
        code = arguments.get("code")
        if not isinstance(code, str):
            raise ToolError("the call has no code")
        return await self.run(code)

    async def _run_noted(self, code: str) -> tuple[str, str]:
        """The output, and what else there is to say."""
        limits = self._limits
        try:
            return await asyncio.wait_for(self._exchange(code), limits.seconds), ""
        except asyncio.TimeoutError:
            note = f"stopped after {limits.seconds:g} s; {_LOST}"
        except _TooMuchError:
            note = f"stopped: it wrote more than {limits.output_bytes} bytes; {_LOST}"
        except _EndedError:
            note = f"the process ended ({await self._how_it_ended()}); {_LOST}"
        except BaseException:  # cancelled: it may be anywhere in the cell
            await self._kill()
            raise
        text = self._output.decode(errors="replace")
        await self._kill()
        return text, f"[{note}]"

    async def _start(self) -> None:
        """Start the process and see it run an empty cell."""
        assert self.walls is not None  # noqa: S101 - entered
        self._process = await asyncio.create_subprocess_exec(
            *self.walls.command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            env=environment(),
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the chat
        )
        try:
            await asyncio.wait_for(self._exchange(""), _START_SECONDS)
        except asyncio.TimeoutError:
            await self._kill()
            raise ToolError(f"did not start within {_START_SECONDS:g} s") from None
        except (_EndedError, _TooMuchError):
            lines = printable(self._output.decode(errors="replace")).strip().splitlines()
            await self._kill()
            raise ToolError(lines[-1] if lines else "ended without a word") from None
        except BaseException:
            await self._kill()
            raise

    async def _exchange(self, code: str) -> str:
        """Send a cell and read up to its marker."""
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
                raise _TooMuchError
        raise _EndedError

    async def _how_it_ended(self) -> str:
        assert self._process is not None  # noqa: S101
        code = await self._process.wait()
        number = -code if code < 0 else code - 128
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return "killed: too much processor time, or memory"
        with suppress(ValueError):
            return signal.Signals(number).name
        return f"exit code {code}"

    async def _kill(self) -> None:
        """End the process and all that it started: they go with it."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_read_to_end(process), _END_SECONDS)
        await process.wait()


async def _read_to_end(process: Process) -> None:
    """What was inside is gone when nothing can write any more."""
    assert process.stdout is not None  # noqa: S101
    while await process.stdout.read(65536):
        pass
