"""The group of commands: each is imported when it is used, and its failures are a line and a code.

Names, help and completion of names go by the table alone, so they come at once: the imports of all
commands take a second.
"""

import importlib
import logging
import sys
from collections.abc import Iterator, MutableMapping
from itertools import groupby
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from glm3edge.commands.logs import is_json
from glm3edge.commands.registry import COMMANDS
from glm3edge.errors import (
    ConfigError,
    DivergenceError,
    Glm3EdgeError,
    HubError,
    MismatchError,
    ModelError,
)
from glm3edge_convert.errors import ConvertError

logger = logging.getLogger(__name__)

EXIT_CODES: dict[type[Glm3EdgeError], int] = {
    ConfigError: 2,
    ModelError: 8,
    MismatchError: 9,
    DivergenceError: 10,
    HubError: 11,
}
"""What a failure ends the program with; conversion has codes of its own, 2 to 7."""

_INTERRUPTED = 130


class PlainCommand(TyperCommand):
    """A command whose options stand in ``--help`` under the headings that they name."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options by their ``rich_help_panel``."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                is_argument = param.param_type_name == "argument"
                panel = getattr(param, "rich_help_panel", None)
                title = "Arguments" if is_argument else panel or "Options"
                panels.setdefault(title, []).append(record)
        for title, records in panels.items():
            with formatter.section(title):
                formatter.write_dl(records)


class CommandGroup(TyperGroup):
    """The commands of the table, and those that are registered besides."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(self.commands)

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, without an import."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the names under their headings."""
        width = max(map(len, COMMANDS))
        for panel, names in groupby(COMMANDS, key=lambda name: COMMANDS[name].panel):
            with formatter.section(panel):
                formatter.write_dl([(name.ljust(width), COMMANDS[name].help) for name in names])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete a name."""
        commands = self.commands
        self.commands = {
            name: TyperCommand(name, help=entry.help) for name, entry in COMMANDS.items()
        }
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self.commands = commands

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what fails on purpose ends the program with a line and a code."""
        try:
            return super().invoke(ctx)
        except ConvertError as exc:
            from glm3edge_convert.cli import exit_code  # noqa: PLC0415 - it imports much

            _fail(exc, exit_code(exc))
        except Glm3EdgeError as exc:
            _fail(exc, next((c for t, c in EXIT_CODES.items() if isinstance(exc, t)), 1))
        except OSError as exc:
            if exc.filename is None:  # nothing that tells the user more than the traceback
                raise
            logger.debug("%s", exc, exc_info=exc)
            _fail(OSError(_described(exc)), 1)
        except KeyboardInterrupt:
            raise typer.Exit(_INTERRUPTED) from None


class _Commands(MutableMapping[str, Any]):
    """Commands by their names, imported when they are taken out."""

    def __init__(self, others: MutableMapping[str, Any]) -> None:
        self._loaded = dict(others)

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name, COMMANDS[name].place)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*COMMANDS, *self._loaded]))

    def __len__(self) -> int:
        return len(list(iter(self)))


def _load(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        found, function = typer.Typer(rich_markup_mode=None, add_completion=False), found
        found.command(name, cls=PlainCommand)(function)
    command = typer.main.get_command(found)
    command.name = name
    return command


def _described(exc: OSError) -> str:
    remedy = "; check its permissions" if isinstance(exc, PermissionError) else ""
    return f"{exc.filename}: {exc.strerror}{remedy}"


def _fail(exc: Exception, code: int) -> None:
    if is_json():
        logger.error("%s", exc)
    else:
        print(f"error: {exc}".replace("\n", " "), file=sys.stderr)
    raise typer.Exit(code)
