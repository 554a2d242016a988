"""Typer application of the ``glm3edge`` command, and its entry point."""

import os
from pathlib import Path
from typing import Annotated

import typer

from glm3edge import __version__
from glm3edge.commands.group import CommandGroup
from glm3edge.config.sources import CONFIG_VARIABLE

_COMPLETION = "_GLM3EDGE_COMPLETE"

app = typer.Typer(
    name="glm3edge",
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,  # one of them is the API key
)


def main() -> None:
    """Run the command line: entry point of the console script."""
    if _COMPLETION in os.environ:  # fish takes each line for a candidate, so none may be wrapped
        os.environ["COLUMNS"] = "1000"
    app(prog_name="glm3edge", complete_var=_COMPLETION)  # also as python -m glm3edge


def _show_version(value: bool) -> None:
    if value:
        print(f"glm3edge {__version__}")
        raise typer.Exit


def _use_config(path: Path | None) -> None:
    if path is not None:
        os.environ[CONFIG_VARIABLE] = str(path)  # child processes have it, too


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Configuration file. [the platform's: see config]",
            callback=_use_config,
        ),
    ] = None,
) -> None:
    """ChatGLM3-6B at home: convert, quantize, serve.

    \b
    glm3edge serve           the built-in demo on http://127.0.0.1:8000
    glm3edge COMMAND --help  the options of a command
    """
