"""Tools of the chat: Python functions, MCP servers, the code interpreter."""
