"""``glm3edge chat``: options in, a conversation or one reply out."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glm3edge.commands.logs import LOG_LEVELS, start_logging
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.store.built_in import DEFAULT_NAME

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from glm3edge.commands.chat.options import Options
    from glm3edge.tools.toolbox import Toolbox


def chat_command(
    prompt: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PROMPT]...",
            help="A message to reply to on standard output; a text that is piped in follows it. "
            "Without either: a conversation.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="A GGUF file, a checkpoint folder or a repository, as for serve; with --base-url "
            "one of the server's models. [the built-in demo; the server's first]",
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Talk to a server, such as http://127.0.0.1:8000/v1, and load no model here.",
        ),
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(help="The server's key; better set GLM3EDGE_API_KEY. [none]")
    ] = None,
    system: Annotated[
        str | None, typer.Option(metavar="TEXT", help="System prompt. [none]")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="How to reply, such as temperature=0.7 or max_tokens=200. Repeatable.",
        ),
    ] = None,
    tools: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON list of tools to offer. [none]")
    ] = None,
    tool: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Python function the model may call; FILE.py:FUNCTION too. Repeatable.",
        ),
    ] = None,
    mcp: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COMMAND",
            help="MCP server whose tools the model may call: its command, or a JSON file of "
            "servers. Repeatable.",
        ),
    ] = None,
    code_interpreter: Annotated[
        bool,
        typer.Option(
            "--code-interpreter", help="Let the model run Python, shut in a sandbox. [off]"
        ),
    ] = False,
    allow_tool: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Tool that runs unasked; * is all. Repeatable."),
    ] = None,
    load: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on with a saved conversation.")
    ] = None,
    ctx_size: Annotated[
        int | None, typer.Option(help="Tokens of context. [the model's own, up to 8192]")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Compute threads. [physical cores]")] = None,
    gpu_layers: Annotated[
        str | None,
        typer.Option(
            metavar="auto|all|N",
            help="Layers on GPUs and workers, counted back from the output. [auto: what fits]",
        ),
    ] = None,
    rpc: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Worker (glm3edge worker) on another machine that shares the layers. Repeatable.",
        ),
    ] = None,
    type: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(help="Quantization of a checkpoint. [q4_k_m; built-in: q8_0]")
    ] = None,
    lora: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADAPTER[:SCALE]", help="LoRA adapter, to be chosen with /model. Repeatable."
        ),
    ] = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX", help="P-Tuning v2 prefix, to be chosen with /model. Repeatable."
        ),
    ] = None,
    lang: Annotated[
        str | None, typer.Option(metavar="en|zh", help="Language of the chat. [the locale's]")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history/--no-history", help="Keep what is typed for the next time.")
    ] = True,
    log_level: Annotated[str, typer.Option(help=f"One of {', '.join(LOG_LEVELS)}.")] = "error",
) -> None:
    """Talk to a model in the terminal, or let it reply once.

    What serve takes from GLM3EDGE_* variables is taken from them here too.
    """
    from glm3edge.commands.chat.terminal.translations import LANGUAGES, Texts, user_language  # noqa: PLC0415

    start_logging(log_level)
    if lang is not None and lang not in LANGUAGES:
        raise ConfigError(f"--lang {lang}: choose one of {', '.join(LANGUAGES)}")
    texts = Texts(lang or user_language())
    settings = load_settings(
        host="127.0.0.1",  # nothing listens: a GLM3EDGE_HOST is for serve
        api_key=api_key,
        ctx_size=ctx_size,
        threads=threads,
        gpu_layers=gpu_layers,
        rpc=rpc or None,
        type=type,
        lora=lora or None,
        prefix=prefix or None,
    )
    message = _message(prompt or [], model)
    name = model or f"{DEFAULT_NAME} ({texts('demo')})"
    text = texts("loading", model=name) if base_url is None else texts("asking", url=base_url)
    print(text, file=sys.stderr, flush=True)

    from glm3edge.commands.chat.run import ChatPlan, run_chat  # noqa: PLC0415 - takes long to import

    plan = ChatPlan(
        message=message,
        model=model,
        base_url=base_url,
        settings=settings,
        options=_options(set_ or []),
        system=system,
        tools=tools,
        load=load,
        keep_history=history,
    )
    toolbox = make_toolbox(
        functions=tool or [],
        mcp=mcp or [],
        code_interpreter=code_interpreter,
        allowed=allow_tool or [],
    )
    if code := run_chat(plan, texts, toolbox):
        raise typer.Exit(code)


def make_toolbox(
    *, functions: list[str], mcp: list[str], code_interpreter: bool, allowed: list[str]
) -> "AbstractAsyncContextManager[Toolbox | None]":
    """The tools that can be run here, to be opened in the chat's event loop.

    Raises:
        ConfigError: a tool is allowed, and none is there.
    """
    if not (functions or mcp or code_interpreter):
        if allowed:
            raise ConfigError(
                f"--allow-tool {allowed[0]}: give --tool, --mcp or --code-interpreter"
            )
        return nullcontext()
    from glm3edge.tools.toolbox import open_toolbox  # noqa: PLC0415 - not needed by most

    return open_toolbox(
        functions=functions, mcp=mcp, code_interpreter=code_interpreter, allowed=allowed
    )


def _message(words: list[str], model: str | None) -> str | None:
    """What is sent in one shot; None for a conversation.

    Raises:
        ConfigError: there is nothing to send, or no terminal to talk in.
    """
    from glm3edge.commands.chat.asked import message_of, read_piped  # noqa: PLC0415

    if model is None and len(words) == 1 and _is_model(words[0]):
        raise ConfigError(f"{words[0]} is a model: write glm3edge chat --model {words[0]}")
    if not sys.stdin.isatty():
        return message_of(words, read_piped(sys.stdin.buffer))
    if words:
        return message_of(words, "")
    if not sys.stdout.isatty():
        raise ConfigError("a conversation needs a terminal: give a prompt, or pipe a text in")
    return None


def _is_model(word: str) -> bool:
    path = Path(word)
    return path.suffix == ".gguf" or (path / "config.json").is_file()


def _options(pairs: list[str]) -> "Options":
    from glm3edge.commands.chat.options import Options  # noqa: PLC0415

    options = Options()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair}: write NAME=VALUE")
        options.set(name.strip(), value.strip())
    return options
