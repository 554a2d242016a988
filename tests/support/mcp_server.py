"""An MCP server for the tests, on standard input and output."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from mcp.server.mcpserver import Image, MCPServer
from pydantic import Field

server = MCPServer("demo")


@server.tool(name="get-weather")
def get_weather(
    city: Annotated[str, Field(description="城市")], unit: Literal["c", "f"] = "c"
) -> str:
    """天气预报"""
    return f"{city}: 3 {unit}\x1b[2J"


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("no such city")


@server.tool()
def environment() -> dict[str, str]:
    """Its variables."""
    return dict(os.environ)


@server.tool()
def picture() -> Image:
    """A picture."""
    return Image(data=b"x", format="png")


@server.tool()
def hang() -> str:
    """Take long."""
    time.sleep(5)
    return "late"


@server.tool()
def die() -> str:
    """End without a word."""
    os._exit(3)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(str(os.getpid()))
    sys.stderr.write("what servers say \x1b[31min red\n")
    sys.stdout.write("junk where messages go\n")
    sys.stdout.flush()
    server.run()
