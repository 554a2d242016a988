"""Tools of MCP servers, which run as child processes with standard input and output as transport.

Each server has a task of its own that opens and closes it: the client's cancel scopes must be
exited in the task that entered them, and one server's failure must not affect another.
"""

import asyncio
import contextlib
import functools
import json
import logging
import os
import re
import threading
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from glm3edge import __version__
from glm3edge.errors import ConfigError
from glm3edge.tools.errors import ToolError
from glm3edge.tools.mcp_commands import ServerCommand
from glm3edge.tools.schemas import plain_schema
from glm3edge.tools.tool import Tool
from glm3edge_convert.printable import printable

if TYPE_CHECKING:
    import mcp

logger = logging.getLogger(__name__)

START_SECONDS = 60.0
"""Timeout of a server's start, in which npx may have to download it."""
CALL_SECONDS = 120.0
_MAX_TOOLS = 128
_MAX_NAME_CHARS = 64


class Server:
    """A running MCP server.

    Attributes:
        command: what it was started with.
        offered: its tools, as it lists them.
    """

    def __init__(self, command: ServerCommand) -> None:
        self.command = command
        self.offered: list[mcp.Tool] = []
        self._client: mcp.Client | None = None
        self._stop = asyncio.Event()
        self._last_lines: deque[str] = deque(maxlen=1)

    def tools(self, taken: Collection[str]) -> list[Tool]:
        """Its tools, renamed where a name cannot be called or is among those ``taken``."""
        names = set(taken)
        tools = []
        for offered in self.offered:
            name = free_name(offered.name, self.command.name, names)
            names.add(name)
            parameters = plain_schema(offered.input_schema)
            run = functools.partial(self._call, offered.name)
            description = printable(offered.description or offered.title or "")
            tools.append(Tool(name, description, parameters, run))
        return tools

    async def serve(self, ready: "asyncio.Future[None]") -> None:
        """Run the server until ``stop()``; ``ready`` gets the result of its start."""
        try:
            with _log_of(self.command.name, self._last_lines) as log:
                async with self._opened(log) as client:
                    self.offered = await _all_tools(client)
                    self._client = client
                    if not ready.done():
                        ready.set_result(None)
                    await self._stop.wait()
        except Exception as exc:  # a server's failure must not end the chat
            if ready.done():
                logger.warning("MCP server %s: %s", self.command.name, _reason(exc))
            else:
                ready.set_exception(ConfigError(self._fault(exc)))
        finally:
            self._client = None

    def stop(self) -> None:
        """Make ``serve()`` return."""
        self._stop.set()

    def _opened(self, log: TextIO) -> "mcp.Client":
        import mcp  # noqa: PLC0415 - optional, and slow to import

        command = self.command
        parameters = mcp.StdioServerParameters(
            command=command.command, args=list(command.args), env=dict(command.env), cwd=command.cwd
        )
        return mcp.Client(
            mcp.stdio_client(parameters, errlog=log),
            read_timeout_seconds=CALL_SECONDS,
            client_info=mcp.Implementation(name="glm3edge", version=__version__),
            cache=None,
        )

    def _fault(self, exc: BaseException) -> str:
        said = f"; the last that it wrote: {self._last_lines[-1]}" if self._last_lines else ""
        return f"MCP server {self.command.name} could not be started: {_reason(exc)}{said}"

    async def _call(self, name: str, arguments: dict[str, Any]) -> str:
        if self._client is None:
            raise ToolError(f"the MCP server {self.command.name} has ended")
        try:
            result = await self._client.call_tool(name, arguments)
        except Exception as exc:
            raise ToolError(f"MCP server {self.command.name}: {_reason(exc)}") from exc
        text = "\n".join(map(_content_text, result.content))
        if not text and result.structured_content is not None:
            text = json.dumps(result.structured_content, ensure_ascii=False)
        if result.is_error:
            raise ToolError(text or "the tool reports an error")
        return text


@contextlib.asynccontextmanager
async def open_servers(commands: Collection[ServerCommand]) -> AsyncIterator[list[Server]]:
    """Start all servers in parallel; they end with the context.

    Raises:
        ConfigError: the ``mcp`` package is missing, or a server cannot be started.
    """
    if commands:
        _need_mcp()
        _quiet_client()
    servers = [Server(command) for command in commands]
    loop = asyncio.get_running_loop()
    ready = [loop.create_future() for _ in servers]
    tasks = [
        asyncio.create_task(server.serve(future))
        for server, future in zip(servers, ready, strict=True)
    ]
    try:
        for server, future in zip(servers, ready, strict=True):
            await _wait_ready(server, future)
        yield servers
    finally:
        for server, task, future in zip(servers, tasks, ready, strict=True):
            server.stop()
            if not (future.done() and not future.cancelled() and future.exception() is None):
                task.cancel()  # it is still starting
        await asyncio.gather(*tasks, return_exceptions=True)


async def _wait_ready(server: Server, future: "asyncio.Future[None]") -> None:
    try:
        await asyncio.wait_for(future, START_SECONDS)
    except asyncio.TimeoutError as exc:
        text = f"MCP server {server.command.name} did not answer within {START_SECONDS:g} s"
        raise ConfigError(text) from exc


def _need_mcp() -> None:
    try:
        import mcp  # noqa: PLC0415

        mcp.Client  # noqa: B018 - version 1 has none
    except (ImportError, AttributeError) as exc:
        text = "--mcp needs the mcp package, version 2: pip install 'glm3edge[mcp]'"
        raise ConfigError(text) from exc


def _quiet_client() -> None:
    """Hide the client's errors about lines on a server's standard output that are no messages,
    unless the log level is info."""
    client_logger = logging.getLogger("mcp")
    if not client_logger.isEnabledFor(logging.INFO):
        client_logger.setLevel(logging.CRITICAL)


async def _all_tools(client: "mcp.Client") -> list["mcp.Tool"]:
    """Tools of all pages of the server's list, up to a limit."""
    tools: list[mcp.Tool] = []
    cursor: str | None = None
    while len(tools) < _MAX_TOOLS:
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    if len(tools) > _MAX_TOOLS:
        logger.warning("only the first %d of its tools are offered", _MAX_TOOLS)
    return tools[:_MAX_TOOLS]


def free_name(name: str, server: str, taken: Collection[str]) -> str:
    """A name that is not ``taken``, of letters, digits, ``_`` and ``-`` as OpenAI's API requires.

    If ``name`` is taken, the server's name is put before it, and a number after that if needed.
    """
    plain = _plain_name(name)
    if plain not in taken:
        return plain
    plain = wanted = _plain_name(f"{server}_{name}")
    number = 2
    while plain in taken:
        plain = f"{wanted[: _MAX_NAME_CHARS - 4]}_{number}"
        number += 1
    return plain


def _plain_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_MAX_NAME_CHARS] or "tool"


def _content_text(content: Any) -> str:
    """Text content as it is; of other content its kind, and its name if it has one."""
    match content.type:
        case "text":
            return str(content.text)
        case "image" | "audio":
            return f"[{content.type}, {content.mime_type}, not shown]"
        case "resource_link":
            return f"[resource {content.name}: {content.uri}]"
        case "resource":
            text = getattr(content.resource, "text", None)
            return (
                str(text) if text is not None else f"[resource {content.resource.uri}, not shown]"
            )
    return f"[{content.type}, not shown]"


def _reason(exc: BaseException) -> str:
    """Message of an exception, of a group the first one's."""
    while inner := getattr(exc, "exceptions", None):
        exc = inner[0]
    return printable(str(exc)).strip() or type(exc).__name__


@contextlib.contextmanager
def _log_of(name: str, last_lines: deque[str]) -> Iterator[TextIO]:
    """File for a server's standard error, whose lines go to the log."""
    reading, writing = os.pipe()

    def read() -> None:
        with os.fdopen(reading, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                text = printable(line).rstrip()
                if text:
                    last_lines.append(text[:200])
                    logger.info("MCP server %s: %s", name, text)

    thread = threading.Thread(target=read, name=f"mcp-{name}", daemon=True)
    thread.start()
    with os.fdopen(writing, "w", encoding="utf-8") as file:
        yield file
    thread.join(timeout=0.5)  # a grandchild may hold the other end
