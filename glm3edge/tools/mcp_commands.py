"""Commands of MCP servers, from a command line or a file in the form that other programs use:

{"mcpServers": {"files": {"command": "npx", "args": ["-y", "a-server"], "env": {"KEY": "..."}}}}
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from glm3edge.errors import ConfigError
from glm3edge_convert.files import read_file


class _Entry(BaseModel):
    """A server's entry in the file; other keys are for other programs."""

    model_config = ConfigDict(extra="ignore", strict=True)

    command: str | None = None
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str | None = None
    disabled: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    mcpServers: dict[str, _Entry]  # noqa: N815 - the file's name for it


@dataclass(frozen=True)
class ServerCommand:
    """Command that starts a server; ``env`` adds to the few variables that the client passes on."""

    name: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None


def server_commands(spec: str) -> list[ServerCommand]:
    """The servers of ``--mcp SPEC``: a JSON file, or a command with its arguments.

    Raises:
        ConfigError: the file cannot be read or understood, or there is no command.
    """
    if spec.endswith(".json") and (Path(spec).is_file() or " " not in spec):
        return list(_from_file(Path(spec)))
    try:
        words = shlex.split(spec, posix=os.name == "posix")
    except ValueError as exc:
        raise ConfigError(f"--mcp {spec}: {exc}") from exc
    if not words:
        raise ConfigError("--mcp needs a command or a JSON file")
    return [ServerCommand(Path(words[-1]).stem or words[0], words[0], tuple(words[1:]))]


def _from_file(path: Path) -> Iterator[ServerCommand]:
    try:
        entries = _File.model_validate_json(read_file(path)).mcpServers
    except OSError as exc:
        raise ConfigError(f"--mcp {path}: {exc.strerror or exc}") from exc
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        place = ".".join(map(str, error["loc"]))
        form = '{"mcpServers": {"NAME": {"command": "...", "args": [...], "env": {...}}}}'
        fault = f"{place}: {error['msg']}" if place else error["msg"]
        raise ConfigError(f"--mcp {path}: {fault}; it has to be {form}") from exc
    for name, entry in entries.items():
        if entry.disabled:
            continue
        if not entry.command:
            raise ConfigError(
                f"--mcp {path}: {name} has no command; only servers that run here and speak over "
                "standard input and output can be used"
            )
        yield ServerCommand(name, entry.command, tuple(entry.args), entry.env, entry.cwd)
