"""An MCP server that lists its tools on a page each, with names that few others have."""

import asyncio
import json
from typing import Any

from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

NAMES = ("files/read.text", "interpreter", "third")
SCHEMA = {"type": "object", "properties": {"file-path": {"type": "string"}}}


async def list_tools(_: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
    """One of them, and where the next is."""
    place = int((params and params.cursor) or 0)
    cursor = str(place + 1) if place + 1 < len(NAMES) else None
    return ListToolsResult(tools=[Tool(name=NAMES[place], input_schema=SCHEMA)], next_cursor=cursor)


async def call_tool(_: Any, params: CallToolRequestParams) -> CallToolResult:
    """What it was called by."""
    text = json.dumps([params.name, params.arguments])
    return CallToolResult(content=[TextContent(text=text), TextContent(text="第二")])


async def main() -> None:
    """Serve until input ends."""
    server = Server("paged", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
