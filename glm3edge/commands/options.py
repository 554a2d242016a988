"""``--log-level`` and ``--json-logs``, as every command has them."""

from typing import Annotated

import typer

from glm3edge.commands.logs import LOG_LEVELS

LogLevel = Annotated[
    str,
    typer.Option(
        metavar="LEVEL",
        envvar="GLM3EDGE_LOG_LEVEL",
        show_envvar=False,
        help=f"One of {', '.join(LOG_LEVELS)}.",
        autocompletion=lambda: list(LOG_LEVELS),
        rich_help_panel="Log",
    ),
]

JsonLogs = Annotated[
    bool,
    typer.Option(
        "--json-logs",
        envvar="GLM3EDGE_JSON_LOGS",
        show_envvar=False,
        help="Write one JSON object a line, to standard error, instead of all text.",
        rich_help_panel="Log",
    ),
]
