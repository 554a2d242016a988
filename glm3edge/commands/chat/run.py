"""Run of ``glm3edge chat``: opens a source of replies, and chats once or interactively."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from glm3edge.commands.chat.calls import UnattendedCallHandler
from glm3edge.commands.chat.conversation import offered_tools
from glm3edge.commands.chat.generation_options import GenerationOptions
from glm3edge.commands.chat.repl import Repl, load_into
from glm3edge.commands.chat.sources.base import Source
from glm3edge.commands.chat.terminal.display import Display, MarkdownDisplay, PlainDisplay
from glm3edge.commands.chat.terminal.translations import Texts
from glm3edge.commands.chat.transcript import load_tools
from glm3edge.commands.chat.turn import Chat, describe_overflow, take_turn
from glm3edge.config.settings import Settings, check_engine_options
from glm3edge.errors import ContextLengthExceededError, Glm3EdgeError
from glm3edge.store.built_in import DEFAULT_NAME
from glm3edge.store.store import Store
from glm3edge.tools.toolbox import Toolbox
from glm3edge_convert.progress import progress_bar

if TYPE_CHECKING:
    from glm3edge.serving.remote_runtime import RemoteRuntime
    from glm3edge.serving.runtime import Runtime
    from glm3edge.store.adapters import AdapterFile, PrefixFile

INTERRUPTED = 128 + signal.SIGINT
_BROKEN_PIPE = 128 + 13  # SIGPIPE, as shells report it; Windows has no such signal


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPlan:
    """Parameters of a chat.

    Attributes:
        message: message of a one-shot chat; None for a conversation.
        model: name of the model; None takes the default.
        base_url: of the server; None loads the model in this process.
        settings: how the model is loaded.
        generation: options of each request.
        system: system prompt.
        tools: file of tool definitions.
        load: file of a conversation to continue.
        keep_history: whether input lines are saved.
    """

    message: str | None
    model: str | None = None
    base_url: str | None = None
    settings: Settings
    generation: GenerationOptions = field(default_factory=GenerationOptions)
    system: str | None = None
    tools: Path | None = None
    load: Path | None = None
    keep_history: bool = True


def run_chat(
    plan: ChatPlan, texts: Texts, toolbox: AbstractAsyncContextManager[Toolbox | None]
) -> int:
    """Chat, and return the exit code.

    Raises:
        Glm3EdgeError: the model or server cannot be used, or a one-shot chat gets no reply.
    """
    return asyncio.run(_chat(plan, texts, toolbox))


async def _chat(
    plan: ChatPlan, texts: Texts, toolbox: AbstractAsyncContextManager[Toolbox | None]
) -> int:
    # What is quickly checked comes first: a model may take long to load.
    tools = [] if plan.tools is None else load_tools(plan.tools)
    async with toolbox as opened:
        offered_tools(tools, opened)
        async with _source(plan) as source:
            chat = Chat(source, options=plan.generation, file_tools=tools, toolbox=opened)
            if plan.load is not None:
                load_into(chat, plan.load)
            if plan.system is not None:
                chat.conversation.system = plan.system
            if plan.message is not None:
                return await run_once(chat, plan.message, texts, Console(stderr=True))
            await _repl(chat, plan, texts).run()
            return 0


async def run_once(chat: Chat, text: str, texts: Texts, console: Console) -> int:
    """Reply to ``text`` on standard output, everything else on ``console``; the exit code.

    Raises:
        Glm3EdgeError: there is no reply, or only a part of it.
    """
    chat.conversation.ask(text)
    handler = UnattendedCallHandler(console, texts, chat.toolbox)
    try:
        reply = await take_turn(chat, PlainDisplay(sys.stdout), handler, texts)
    except BrokenPipeError:  # the reader has closed the pipe
        discard_output()
        return _BROKEN_PIPE
    except ContextLengthExceededError as exc:
        raise Glm3EdgeError(describe_overflow(exc, texts)) from exc
    if reply.finish_reason == "stopped":
        return INTERRUPTED
    if reply.finish_reason == "length":
        console.print(escape(texts("cut")), style="yellow", highlight=False)
    return 0


def discard_output() -> None:
    """Send what is left in standard output to nowhere, so that flushing it at exit cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@asynccontextmanager
async def _source(plan: ChatPlan) -> AsyncIterator[Source]:
    if plan.base_url is not None:
        from glm3edge.commands.chat.sources.remote import RemoteSource  # noqa: PLC0415 - imports an HTTP client

        key = plan.settings.api_key
        remote = RemoteSource(
            plan.base_url,
            api_key=None if key is None else key.get_secret_value(),
            model=plan.model,
        )
        async with aclosing(remote):
            await remote.open()
            yield remote
        return
    from glm3edge.commands.chat.sources.local import LocalSource  # noqa: PLC0415 - imports what loads models

    with _ended_by_interrupt():
        runtime = _runtime(plan)
    with runtime:
        async with aclosing(LocalSource(runtime.services)) as local:
            yield local


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the program while the event loop is blocked and would not see it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _runtime(plan: ChatPlan) -> "Runtime | RemoteRuntime":
    """Model loaded as ``glm3edge serve`` does."""
    from glm3edge.serving.remote_runtime import RemoteRuntime  # noqa: PLC0415 - takes long to import
    from glm3edge.serving.runtime import Runtime  # noqa: PLC0415 - takes long to import

    settings = plan.settings
    check_engine_options(settings)
    if settings.engine:
        vocabulary = Store(settings.cache_dir).find_vocabulary(plan.model)
        return RemoteRuntime(vocabulary, settings)
    with progress_bar() as progress:
        store = Store(settings.cache_dir, quant_type=settings.type, progress=progress)
        path = store.find(plan.model)
        adapters: list[AdapterFile | PrefixFile] = [
            *store.find_adapters(settings.lora),
            *store.find_prefixes(settings.prefix),
        ]
    model_id = None if plan.model else DEFAULT_NAME
    return Runtime(path, settings, model_id=model_id, adapters=adapters)


def _repl(chat: Chat, plan: ChatPlan, texts: Texts) -> Repl:
    from glm3edge.commands.chat.terminal.reader import Reader  # noqa: PLC0415 - one shot needs none

    console = Console(highlight=False)
    display: Display = MarkdownDisplay(console)
    if console.is_dumb_terminal:
        display = PlainDisplay(sys.stdout)
    reader = Reader(models=lambda: chat.source.models, keep_history=plan.keep_history)
    return Repl(chat, console=console, reader=reader, display=display, texts=texts)
