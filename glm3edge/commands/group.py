"""Command group that imports each command when it is used, and turns errors into exit codes.

Names, help and completion of names come from the registry alone, without the imports of the
commands, which take a second.
"""

import importlib
import logging
import sys
from itertools import groupby
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from glm3edge.commands.logs import is_json
from glm3edge.commands.registry import COMMANDS
from glm3edge.errors import Glm3EdgeError
from glm3edge_convert.errors import ConvertError
from glm3edge_convert.printable import error_line

logger = logging.getLogger(__name__)

_INTERRUPTED = 130


class PlainCommand(TyperCommand):
    """Command whose ``--help`` has a section for each ``rich_help_panel`` of its options."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the sections of options."""
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
    """Group of the commands in the registry, which are imported on use."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands.update(
            {name: TyperCommand(name, help=entry.help) for name, entry in COMMANDS.items()}
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Name and command that ``args`` begin with, and its arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name in COMMANDS else command, rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by section."""
        width = max(map(len, COMMANDS))
        for panel, names in groupby(COMMANDS, key=lambda name: COMMANDS[name].panel):
            with formatter.section(panel):
                formatter.write_dl([(name.ljust(width), COMMANDS[name].help) for name in names])

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error of ours ends the program with one line and its exit code."""
        try:
            return super().invoke(ctx)
        except (Glm3EdgeError, ConvertError) as exc:
            _fail(exc, exc.exit_code)
        except OSError as exc:
            if exc.filename is None:  # without a file's name, the traceback says more
                raise
            logger.debug("%s", exc, exc_info=exc)
            _fail(OSError(_described(exc)), 1)
        except KeyboardInterrupt:
            raise typer.Exit(_INTERRUPTED) from None


def load_command(name: str) -> Any:
    """Import the command of a name in the registry."""
    module, _, attribute = COMMANDS[name].place.partition(":")
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
        print(f"error: {error_line(exc)}", file=sys.stderr)
        from glm3edge.commands.remedies import remedies  # noqa: PLC0415  (few commands fail)

        for line in remedies(exc, sys.argv):
            print(line, file=sys.stderr)
    raise typer.Exit(code)
