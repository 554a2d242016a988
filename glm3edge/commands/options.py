"""Options that several commands have, each declared once. See ``signature`` for how they are used.

In brackets at the end of a help text: the default.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from glm3edge.commands.signature import Options
from glm3edge.config import defaults
from glm3edge.config.kv_types import DEFAULT_KV_TYPE, KV_TYPES
from glm3edge.config.log_levels import LOG_LEVELS

CtxSize = Annotated[
    int | None,
    typer.Option(help=f"Tokens of context. [the model's own, up to {defaults.CONTEXT_SIZE}]"),
]
Parallel = Annotated[
    int | None,
    typer.Option(help=f"Requests that run at once and share the context. [{defaults.PARALLEL}]"),
]
QuantType = Annotated[
    str | None, typer.Option(help="Quantization of a checkpoint. [q4_k_m; built-in: q8_0]")
]
Threads = Annotated[int | None, typer.Option(help="Compute threads. [physical cores]")]
GpuLayers = Annotated[
    str | None,
    typer.Option(
        metavar="auto|all|N",
        help="Layers to offload to GPUs and workers, counted back from the output. "
        "[auto: what fits]",
    ),
]
KVCacheType = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(KV_TYPES), help=f"Data type of the KV cache. [{DEFAULT_KV_TYPE}]"
    ),
]
Rpc = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Worker (glm3edge worker) on another machine that shares the layers. Repeatable.",
    ),
]
CacheDir = Annotated[
    Path | None, typer.Option(help="Cache folder for converted models. [the platform's]")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of text; sizes are in bytes.")
]
Out = Annotated[
    Path | None, typer.Option(help="Folder to write results.json, table.md and plot.svg to.")
]
LogLevel = Annotated[
    str | None,
    typer.Option(
        metavar="LEVEL",
        help=f"One of {', '.join(LOG_LEVELS)}. [warning]",
        autocompletion=lambda: list(LOG_LEVELS),
        rich_help_panel="Log",
    ),
]


@dataclass(frozen=True, kw_only=True)
class LogLevelOptions(Options, heading="Log"):
    """Level of the log."""

    log_level: LogLevel = None


@dataclass(frozen=True, kw_only=True)
class LogFormatOptions(Options, heading="Log"):
    """Format of the log, for commands that run until they are stopped."""

    json_logs: Annotated[
        bool | None,
        typer.Option(
            "--json-logs",
            help="Write all output to standard error, as one JSON object a line. [off]",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class EngineOptions(Options, heading="Engine on another machine"):
    """A server that computes in place of this one."""

    engine: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Address of glm3edge serve or vLLM with the same model, which computes the "
            "replies; MODEL is for the vocabulary only. May be repeated: a conversation keeps to "
            "one of the engines. [this machine]",
        ),
    ] = None
    engine_key: Annotated[
        str | None,
        typer.Option(help="API key of the engine; prefer GLM3EDGE_ENGINE_KEY. [none]"),
    ] = None
