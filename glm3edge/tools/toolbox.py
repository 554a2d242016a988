"""Toolbox: all tools of a chat, opened and closed together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from glm3edge.errors import ConfigError
from glm3edge.schema.chat import INTERPRETER
from glm3edge.tools.errors import ToolError
from glm3edge.tools.functions import function_tool
from glm3edge.tools.interpreter import CodeInterpreter
from glm3edge.tools.mcp_commands import server_commands
from glm3edge.tools.mcp_servers import open_servers
from glm3edge.tools.shortening import shortened
from glm3edge.tools.tool import Tool
from glm3edge_convert.printable import printable

ALL = "*"
"""Name that allows every tool."""


class Toolbox(Protocol):
    """Tools as the chat uses them."""

    def definitions(self) -> list[dict[str, Any]]:
        """The tools in the form of OpenAI's API."""

    def is_allowed(self, name: str) -> bool:
        """Whether the tool may run without asking the user."""

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Call a tool; returns the result as text that is safe on a terminal.

        Raises:
            ToolError: it failed; the message can be given to the model as the result.
        """


class _OpenToolbox:
    def __init__(self, tools: Sequence[Tool], allowed: Sequence[str]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._allowed = frozenset(allowed)

    def definitions(self) -> list[dict[str, Any]]:
        return [tool.definition for tool in self._tools.values()]

    def is_allowed(self, name: str) -> bool:
        return ALL in self._allowed or name in self._allowed

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        tool = self._tools.get(name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            raise ToolError(f"unknown tool {name}; the tools are: {known}")
        try:
            result = await tool.run(arguments)
        except ToolError as exc:
            raise ToolError(shortened(printable(str(exc)))) from exc
        return shortened(printable(result))


@asynccontextmanager
async def open_toolbox(
    *,
    functions: Sequence[str] = (),
    mcp: Sequence[str] = (),
    code_interpreter: bool = False,
    allowed: Sequence[str] = (),
) -> AsyncIterator[Toolbox]:
    """Open the tools of a chat; servers and interpreter end with the context.

    Args:
        functions: ``module:function`` or ``path/to/file.py:function``.
        mcp: commands of MCP servers, or JSON files that list them.
        code_interpreter: whether to offer the sandboxed code interpreter.
        allowed: names of tools that may run without asking the user; ``*`` is all.

    Raises:
        ConfigError: one of them cannot be opened; ``SandboxError`` if there is no sandbox for the
            interpreter.
    """
    tools = [function_tool(spec) for spec in functions]
    names = [tool.name for tool in tools]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"--tool: two functions are called {min(repeated)}")
    commands = [command for spec in mcp for command in server_commands(spec)]
    async with AsyncExitStack() as stack:
        if code_interpreter:
            interpreter = await stack.enter_async_context(CodeInterpreter())
            tools.append(interpreter.tool)
        for server in await stack.enter_async_context(open_servers(commands)):
            tools += server.tools({INTERPRETER, *(tool.name for tool in tools)})
        _check_allowed(allowed, tools)
        yield _OpenToolbox(tools, allowed)


def _check_allowed(allowed: Sequence[str], tools: Sequence[Tool]) -> None:
    """Refuse a name that is no tool's: with a misspelled one the chat would keep asking."""
    known = {ALL, *(tool.name for tool in tools)}
    if unknown := [name for name in allowed if name not in known]:
        names = ", ".join(sorted(known - {ALL})) or "none"
        raise ConfigError(f"--allow-tool {unknown[0]}: unknown tool; the tools are: {names}")
