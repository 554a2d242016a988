"""All tools of a chat, opened and closed together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from glm3edge.errors import ConfigError
from glm3edge.schema.chat import INTERPRETER
from glm3edge.tools.errors import ToolError
from glm3edge.tools.functions import function_tool
from glm3edge.tools.interpreter import CodeInterpreter
from glm3edge.tools.mcp_servers import open_servers, server_commands
from glm3edge.tools.sanitize import printable, shortened
from glm3edge.tools.tool import Tool

ALL = "*"
"""Allows every tool."""


class Toolbox(Protocol):
    """What a chat knows of its tools."""

    def definitions(self) -> list[dict[str, Any]]:
        """The tools as OpenAI's API takes them."""

    def is_allowed(self, name: str) -> bool:
        """Whether the tool may run without a question."""

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        """The result as text that a terminal can show.

        Raises:
            ToolError: it failed; the message can be the model's result.
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
            raise ToolError(f"there is no tool {name}; there are: {known}")
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
    """The tools of a chat; servers and interpreter end with the context.

    Args:
        functions: ``module:function`` or ``path/to/file.py:function``.
        mcp: commands of MCP servers, or JSON files that list them.
        code_interpreter: whether the model's Python may be run, shut in.
        allowed: names of tools that may run without a question; ``*`` is all.

    Raises:
        ConfigError: one of them cannot be had; ``SandboxError`` where the interpreter cannot be
            shut in.
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
    """A name that is no tool's is a slip, and would be asked about for ever."""
    known = {ALL, *(tool.name for tool in tools)}
    if unknown := [name for name in allowed if name not in known]:
        names = ", ".join(sorted(known - {ALL})) or "none"
        raise ConfigError(f"--allow-tool {unknown[0]}: there is no such tool; there are: {names}")
