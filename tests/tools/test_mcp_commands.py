"""Commands of MCP servers, as options and files give them."""

from pathlib import Path

import pytest

from glm3edge.errors import ConfigError
from glm3edge.tools.mcp_commands import ServerCommand, server_commands


def refusal(spec: str) -> str:
    with pytest.raises(ConfigError) as caught:
        server_commands(spec)
    return str(caught.value)


def test_commands_and_files_are_read(tmp_path: Path) -> None:
    assert server_commands("npx -y '@org/a server'") == [
        ServerCommand("a server", "npx", ("-y", "@org/a server"))
    ]
    path = tmp_path / "s.json"
    path.write_text('{"mcpServers": {"a": {"command": "x", "env": {"K": "v"}, "cwd": "/"}}}')
    assert server_commands(str(path)) == [ServerCommand("a", "x", (), {"K": "v"}, "/")]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "No such file or directory"),
        ("{", "Invalid JSON"),
        ("{}", "mcpServers: Field required"),
        ('{"mcpServers": {"a": {"command": 1}}}', "mcpServers.a.command: Input should be"),
        ('{"mcpServers": {"a": {"url": "http://x"}}}', "a has no command; only servers that run"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(
    tmp_path: Path, content: str | None, fault: str
) -> None:
    path = tmp_path / "servers.json"
    if content is not None:
        path.write_text(content)
    assert refusal(str(path)).startswith(f"--mcp {path}: {fault}")


@pytest.mark.parametrize("spec", ["", "  ", "'open"])
def test_a_command_that_is_none_is_told(spec: str) -> None:
    assert refusal(spec).startswith("--mcp ")
