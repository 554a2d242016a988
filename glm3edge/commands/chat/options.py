"""Options of ``glm3edge chat`` and ``glm3edge run``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from glm3edge.commands.options import (
    CtxSize,
    EngineOptions,
    GpuLayers,
    QuantType,
    Rpc,
    Threads,
)
from glm3edge.commands.signature import Options
from glm3edge.config.log_levels import LOG_LEVELS

Prompt = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROMPT",
        help="Message to reply to on standard output; piped text is appended to it. Without "
        "either: a conversation.",
        show_default=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class ConversationOptions(Options):
    """Options that both commands have."""

    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Use a server, such as http://127.0.0.1:8000/v1, instead of loading a model.",
        ),
    ] = None
    api_key: Annotated[
        str | None,
        typer.Option(help="API key of the server; prefer GLM3EDGE_API_KEY. [none]"),
    ] = None
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="System prompt. [none]")] = None
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Generation option, such as temperature=0.7 or max_tokens=200. Repeatable.",
        ),
    ] = None
    tools: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON list of tools that the model may call. [none]"),
    ] = None
    tool: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Python function that the model may call; FILE.py:FUNCTION too. Repeatable.",
        ),
    ] = None
    mcp: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COMMAND",
            help="MCP server whose tools the model may call: its command, or a JSON file of "
            "servers. Repeatable.",
        ),
    ] = None
    code_interpreter: Annotated[
        bool,
        typer.Option("--code-interpreter", help="Let the model run Python in a sandbox. [off]"),
    ] = False
    allow_tool: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Tool that runs without confirmation; * allows all. Repeatable."
        ),
    ] = None
    load: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Continue a saved conversation.")
    ] = None
    ctx_size: CtxSize = None
    threads: Threads = None
    gpu_layers: GpuLayers = None
    rpc: Rpc = None
    type: QuantType = None
    lora: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADAPTER[:SCALE]", help="LoRA adapter, to be chosen with /model. Repeatable."
        ),
    ] = None
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX", help="P-Tuning v2 prefix, to be chosen with /model. Repeatable."
        ),
    ] = None
    lang: Annotated[
        str | None, typer.Option(metavar="en|zh", help="Language of the chat. [the locale's]")
    ] = None
    history: Annotated[
        bool, typer.Option("--history/--no-history", help="Keep input lines for the next chat.")
    ] = True
    log_level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help=f"One of {', '.join(LOG_LEVELS)}. [error]"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ChatOptions(ConversationOptions, EngineOptions):
    """All options of ``glm3edge chat``."""

    prompt: Prompt = None
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="A GGUF file, a checkpoint folder or a repository, as for serve; with --base-url "
            "one of the server's models. [the built-in demo; the server's first]",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class RunOptions(ConversationOptions, EngineOptions):
    """All options of ``glm3edge run``."""

    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A GGUF file, a checkpoint folder to convert once, or a repository to pull once: "
            "chatglm3-6b, say. Default: a built-in demo.",
            show_default=False,
        ),
    ] = None
    prompt: Prompt = None
