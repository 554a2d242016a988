"""The command lines of ``glm3edge chat`` and ``glm3edge run``."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

from glm3edge.commands.chat.options import ChatOptions, ConversationOptions, RunOptions
from glm3edge.commands.logs import start_logging
from glm3edge.commands.signature import takes
from glm3edge.errors import ConfigError
from glm3edge.store.built_in import DEFAULT_NAME
from glm3edge.store.hub.names import parse_name

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from glm3edge.commands.chat.generation_options import GenerationOptions
    from glm3edge.commands.chat.terminal.translations import Texts
    from glm3edge.tools.toolbox import Toolbox


@takes(ChatOptions)
def chat_command(options: ChatOptions) -> None:
    """Chat with a model in the terminal, or have it reply once."""
    words = options.prompt or []
    if options.model is None and len(words) == 1 and _is_model(words[0]):
        raise ConfigError(f"{words[0]} is a model: write glm3edge run {words[0]}")
    _chat(options)


@takes(RunOptions)
def run_command(options: RunOptions) -> None:
    """Chat with a model in the terminal; it is pulled and converted first, if need be.

    It is chat --model MODEL in fewer words, with the same options.
    """
    _chat(options)


def _chat(options: ChatOptions | RunOptions) -> None:
    start_logging(options.log_level, default="error")
    texts = _texts(options.lang)
    settings = options.settings()
    message = _message(options.prompt or [])
    # The name of a setting is for models of this machine.
    model = settings.model if options.base_url is None else options.model
    _print_start(options.base_url, model, texts)
    # Imports what loads models, which takes long.
    from glm3edge.commands.chat.run import ChatPlan, run_chat  # noqa: PLC0415

    plan = ChatPlan(
        message=message,
        model=model,
        base_url=options.base_url,
        settings=settings,
        generation=_generation_options(options.assignments or []),
        system=options.system,
        tools=options.tools,
        load=options.load,
        keep_history=options.history,
    )
    if code := run_chat(plan, texts, _toolbox(options)):
        raise typer.Exit(code)


def _texts(language: str | None) -> "Texts":
    from glm3edge.commands.chat.terminal.translations import LANGUAGES, Texts, user_language  # noqa: PLC0415

    if language is not None and language not in LANGUAGES:
        raise ConfigError(f"--lang {language}: choose one of {', '.join(LANGUAGES)}")
    return Texts(language or user_language())


def _print_start(base_url: str | None, model: str | None, texts: "Texts") -> None:
    if base_url is not None:
        text = texts("asking", url=base_url)
    else:
        text = texts("loading", model=model or f"{DEFAULT_NAME} ({texts('demo')})")
    print(text, file=sys.stderr, flush=True)


def _toolbox(options: ConversationOptions) -> "AbstractAsyncContextManager[Toolbox | None]":
    """The tools that run here, to be opened in the chat's event loop.

    Raises:
        ConfigError: a tool is allowed, but there is none.
    """
    functions, mcp, allowed = options.tool or [], options.mcp or [], options.allow_tool or []
    if not (functions or mcp or options.code_interpreter):
        if allowed:
            raise ConfigError(
                f"--allow-tool {allowed[0]}: give --tool, --mcp or --code-interpreter"
            )
        return nullcontext()
    from glm3edge.tools.toolbox import open_toolbox  # noqa: PLC0415 - not needed by most

    return open_toolbox(
        functions=functions, mcp=mcp, code_interpreter=options.code_interpreter, allowed=allowed
    )


def _message(words: list[str]) -> str | None:
    """The message of a one-shot chat; None for a conversation.

    Raises:
        ConfigError: there is nothing to send, or no terminal for a conversation.
    """
    if not sys.stdin.isatty():
        return message_of(words, read_piped(sys.stdin.buffer))
    if words:
        return message_of(words, "")
    if not sys.stdout.isatty():
        raise ConfigError("a conversation needs a terminal: give a prompt, or pipe text in")
    return None


def _is_model(word: str) -> bool:
    path, name = Path(word), parse_name(word)
    is_known = name is not None and name.context_size is not None
    return is_known or path.suffix == ".gguf" or (path / "config.json").is_file()


def message_of(words: Sequence[str], piped: str) -> str:
    """Message of the words on the command line and the piped text after them.

    Raises:
        ConfigError: both are empty.
    """
    text = "\n\n".join(filter(None, (" ".join(words).strip(), piped.strip())))
    if not text:
        raise ConfigError("nothing to send: give a prompt, or pipe text in")
    return text.encode(errors="replace").decode()  # halves of surrogate pairs have no tokens


def read_piped(file: BinaryIO) -> str:
    """Text of ``file``: UTF-8, or else GB 18030, the encoding of older Chinese files."""
    data = file.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030", errors="replace")


def _generation_options(assignments: list[str]) -> "GenerationOptions":
    from glm3edge.commands.chat.generation_options import GenerationOptions  # noqa: PLC0415

    options = GenerationOptions()
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment}: write NAME=VALUE")
        options.set(name.strip(), value.strip())
    return options
