"""Tools that a chat can run: Python functions, MCP servers, the code interpreter."""
