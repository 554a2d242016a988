"""run_chat: who replies is opened, talked to, and closed."""

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

from glm3edge.commands.chat.calls import UnattendedCaller
from glm3edge.commands.chat.conversation import offered_tools
from glm3edge.commands.chat.generation_options import GenerationOptions
from glm3edge.commands.chat.repl import Repl, load_into
from glm3edge.commands.chat.sources.base import Source
from glm3edge.commands.chat.terminal.display import Display, MarkdownDisplay, PlainDisplay
from glm3edge.commands.chat.terminal.translations import Texts
from glm3edge.commands.chat.transcript import load_tools
from glm3edge.commands.chat.turn import Chat, describe_excess, take_turn
from glm3edge.config.settings import Settings
from glm3edge.errors import ContextLengthExceededError, Glm3EdgeError
from glm3edge.store.built_in import DEFAULT_NAME
from glm3edge.store.store import Store
from glm3edge.tools.toolbox import Toolbox
from glm3edge_convert.progress import progress_bar

if TYPE_CHECKING:
    from glm3edge.serving.runtime import Runtime
    from glm3edge.store.adapters import AdapterFile, PrefixFile

INTERRUPTED = 128 + signal.SIGINT
_BROKEN_PIPE = 128 + 13  # SIGPIPE, as a shell tells it; Windows has no such signal


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPlan:
    """What ``glm3edge chat`` was told.

    Attributes:
        message: what is sent in one shot; None for a conversation.
        base_url: the server that is talked to; None for a model in this process.
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
    """Talk, and return the exit code.

    Raises:
        Glm3EdgeError: there is nobody to talk to, or in one shot no reply.
    """
    return asyncio.run(_talk(plan, texts, toolbox))


async def _talk(
    plan: ChatPlan, texts: Texts, toolbox: AbstractAsyncContextManager[Toolbox | None]
) -> int:
    # What is quickly refused comes first: a model may take long to load.
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
    """Reply to ``text`` on standard output; the exit code. All else goes to ``console``.

    Raises:
        Glm3EdgeError: there is no reply, or not all of it.
    """
    chat.conversation.ask(text)
    caller = UnattendedCaller(console, texts, chat.toolbox)
    try:
        reply = await take_turn(chat, PlainDisplay(sys.stdout), caller, texts)
    except BrokenPipeError:  # who reads has seen enough
        discard_output()
        return _BROKEN_PIPE
    except ContextLengthExceededError as exc:
        raise Glm3EdgeError(describe_excess(exc, texts)) from exc
    if reply.reason == "stopped":
        return INTERRUPTED
    if reply.reason == "length":
        console.print(escape(texts("cut")), style="yellow", highlight=False)
    return 0


def discard_output() -> None:
    """Nobody reads standard output any more: what is left in it must not fail at the end."""
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
    """Ctrl-C ends the program, though the event loop is blocked and would not see it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _runtime(plan: ChatPlan) -> "Runtime":
    """The model, as ``glm3edge serve`` loads it."""
    from glm3edge.serving.runtime import Runtime  # noqa: PLC0415 - takes long to import

    settings = plan.settings
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
