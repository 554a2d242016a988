"""run_chat: who replies is opened, talked to, and closed."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from glm3edge.commands.chat.offers import offered_tools
from glm3edge.commands.chat.one_shot import run_once
from glm3edge.commands.chat.options import Options
from glm3edge.commands.chat.repl import Repl, load_into
from glm3edge.commands.chat.sources.base import Source
from glm3edge.commands.chat.terminal.display import Display, MarkdownDisplay, PlainDisplay
from glm3edge.commands.chat.terminal.translations import Texts
from glm3edge.commands.chat.transcript import load_tools
from glm3edge.commands.chat.turn import Chat
from glm3edge.config.settings import Settings
from glm3edge.store.built_in import DEFAULT_NAME
from glm3edge.store.store import Store
from glm3edge.tools.toolbox import Toolbox
from glm3edge_convert.progress import progress_bar

if TYPE_CHECKING:
    from glm3edge.serving.runtime import Runtime
    from glm3edge.store.adapters import AdapterFile, PrefixFile


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
    options: Options = field(default_factory=Options)
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
            chat = Chat(source, options=plan.options, file_tools=tools, toolbox=opened)
            if plan.load is not None:
                load_into(chat, plan.load)
            if plan.system is not None:
                chat.conversation.system = plan.system
            if plan.message is not None:
                return await run_once(chat, plan.message, texts, Console(stderr=True))
            await _repl(chat, plan, texts).run()
            return 0


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
