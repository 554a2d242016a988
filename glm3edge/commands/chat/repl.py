"""Read-eval-print loop of the chat: messages and commands in, replies out."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from glm3edge.commands.chat.calls import InteractiveCallHandler
from glm3edge.commands.chat.conversation import tool_names
from glm3edge.commands.chat.generation_options import NAMES
from glm3edge.commands.chat.reply import Reply
from glm3edge.commands.chat.slash_commands import ARGUMENTS, Command, parse_command
from glm3edge.commands.chat.terminal.display import Display
from glm3edge.commands.chat.terminal.reader import Reader, message_of
from glm3edge.commands.chat.terminal.translations import Texts
from glm3edge.commands.chat.terminal.wrapping import wrap
from glm3edge.commands.chat.transcript import Transcript, load, load_tools, save
from glm3edge.commands.chat.turn import Chat, describe_overflow, take_turn
from glm3edge.errors import ContextLengthExceededError, Glm3EdgeError
from glm3edge_convert.printable import printable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PROMPT = "> "
NONE = "none"
"""Argument of ``/system`` and ``/tools`` that removes them."""

_UNDONE_CHARS = 60


class Repl:
    """Interactive conversation in a terminal."""

    def __init__(
        self, chat: Chat, *, console: Console, reader: Reader, display: Display, texts: Texts
    ) -> None:
        """Chat on ``console``: input from ``reader``, replies to ``display``."""
        self._chat = chat
        self._console = console
        self._reader = reader
        self._display = display
        self._texts = texts
        self._call_handler = InteractiveCallHandler(console, texts, reader.answer, chat.toolbox)
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "help": self._help,
            "system": self._system,
            "tools": self._tools,
            "save": self._save,
            "load": self._load,
            "stats": self._stats,
            "reset": self._reset,
            "model": self._model,
            "set": self._set,
            "regenerate": self._regenerate,
            "undo": self._undo,
        }

    async def run(self) -> None:
        """Run until Ctrl-D, Ctrl-C twice or ``/exit``."""
        self._greet()
        is_leaving = False
        while True:
            try:
                line = await self._reader.message(PROMPT)
            except EOFError:
                return
            except KeyboardInterrupt as exc:
                if is_leaving:
                    return
                if not str(exc).strip():
                    is_leaving = True
                    self._print_note("leave_hint")
                continue
            is_leaving = False
            command = parse_command(line)
            if command is not None and command.name == "exit":
                return
            await self._handle(line, command)

    async def _handle(self, line: str, command: Command | None) -> None:
        """Run a command or send a message; an error is printed."""
        try:
            if command is not None:
                await self._run_command(command)
            elif text := message_of(line):
                before = list(self._chat.conversation.messages)
                self._chat.conversation.ask(text)
                await self._reply(before)
        except Glm3EdgeError as exc:
            self._print_error(self._texts("error", error=exc))

    async def _run_command(self, command: Command) -> None:
        if not command.is_known:
            near = command.nearest
            nearest = self._texts("nearest", name=near) if near else ""
            self._print_error(self._texts("unknown_command", name=command.name, nearest=nearest))
        elif command.argument and not ARGUMENTS[command.name]:
            self._print_error(self._texts("takes_no_argument", name=command.name))
        elif not command.argument and command.name in ("save", "load"):
            self._print_error(self._texts("needs_argument", name=command.name, what="FILE"))
        else:
            await self._commands[command.name](command.argument)

    async def _reply(self, before: list[dict[str, object]]) -> None:
        """Reply to the last message; restore ``before`` if it is too long for the context."""
        try:
            reply = await take_turn(self._chat, self._display, self._call_handler, self._texts)
        except ContextLengthExceededError as exc:
            self._chat.conversation.messages[:] = before
            self._print_error(describe_overflow(exc, self._texts))
        except Glm3EdgeError as exc:
            self._print_error(self._texts("error", error=exc))
            self._print_note("kept")
        else:
            self._print_finish(reply)
        self._console.print()

    def _print_finish(self, reply: Reply) -> None:
        if reply.finish_reason == "stopped":
            self._print_note("stopped")
        elif reply.finish_reason == "length":
            self._print(self._truncation_note(reply), style="yellow")

    def _truncation_note(self, reply: Reply) -> str:
        limit, size = self._chat.options.max_tokens, self._chat.source.context_length
        if limit is not None and reply.num_tokens == limit:
            return self._texts("cut_limit", count=limit)
        if size is not None:
            return self._texts("cut_context", size=size)
        return self._texts("cut")

    async def _help(self, _: str) -> None:
        for name, argument in ARGUMENTS.items():
            usage = f"/{name} {argument}".ljust(18)
            self._print(f"{usage} {self._texts(f'help_{name}')}")
        self._print(self._texts("help_keys"))

    async def _system(self, text: str) -> None:
        if text:
            self._chat.conversation.system = "" if text.lower() == NONE else text
        system = self._chat.conversation.system
        self._print(self._texts("system_is", text=system) if system else self._texts("no_system"))

    async def _tools(self, file: str) -> None:
        if file.lower() == NONE:
            self._chat.file_tools = []
        elif file:
            before, self._chat.file_tools = self._chat.file_tools, load_tools(_path(file))
            try:
                _ = self._chat.tools
            except Glm3EdgeError:
                self._chat.file_tools = before
                raise
        names = ", ".join(tool_names(self._chat.tools))
        self._print(self._texts("tools_are", names=names) if names else self._texts("no_tools"))

    async def _save(self, file: str) -> None:
        chat = self._chat
        messages = chat.conversation.messages
        transcript = Transcript(
            system=chat.conversation.system,
            messages=messages,
            settings=chat.options.body,
            tools=chat.file_tools,
            model=chat.source.model,
        )
        save(transcript, _path(file))
        self._print(self._texts("saved", count=len(messages), path=file))

    async def _load(self, file: str) -> None:
        load_into(self._chat, _path(file))
        count = len(self._chat.conversation.messages)
        self._print(self._texts("loaded", count=count, path=file))

    async def _stats(self, _: str) -> None:
        for line in self._chat.stats.lines(self._texts, self._chat.source.context_length):
            self._print(line)

    async def _reset(self, _: str) -> None:
        self._chat.conversation.reset()
        self._print_note("was_reset")

    async def _model(self, name: str) -> None:
        source = self._chat.source
        if name and source.models and name not in source.models:
            self._print_error(self._texts("models_are", name=name, names=", ".join(source.models)))
            return
        source.model = name or source.model
        others = [other for other in source.models if other != source.model]
        current = self._texts("model_is", model=source.model)
        self._print(current if name or not others else f"{current} ({', '.join(others)})")

    async def _set(self, text: str) -> None:
        name, _, value = text.replace("=", " ", 1).partition(" ")
        if value.strip():
            self._chat.options.set(name, value.strip())
        values = self._chat.options.body
        if name:
            self._print(
                self._texts("set_is", name=name, value=values[name])
                if name in values
                else self._texts("set_default", name=name)
            )
        elif values:
            for each, value in values.items():
                self._print(self._texts("set_is", name=each, value=value))
        else:
            self._print(self._texts("none_set", names=", ".join(NAMES)))

    async def _regenerate(self, _: str) -> None:
        before = list(self._chat.conversation.messages)
        if not self._chat.conversation.rewind():
            self._print_note("nothing_yet")
            return
        await self._reply(before)

    async def _undo(self, _: str) -> None:
        text = self._chat.conversation.undo()
        if text is None:
            self._print_note("nothing_yet")
            return
        line = " ".join(text.split())
        short = line if len(line) <= _UNDONE_CHARS else f"{line[:_UNDONE_CHARS]}..."
        self._print(self._texts("undone", text=short))

    def _greet(self) -> None:
        source = self._chat.source
        size = source.context_length
        key = "ready_unknown" if size is None else "ready"
        self._print(self._texts(key, model=source.model, size=size), style="dim")

    def _print_note(self, key: str) -> None:
        self._print(self._texts(key), style="dim")

    def _print_error(self, text: str) -> None:
        self._print(text, style="red")

    def _print(self, text: str, *, style: str = "") -> None:
        line = Text(printable(text), style=style)
        self._console.print(wrap(line, self._console.width - 1), highlight=False)


def load_into(chat: Chat, path: Path) -> None:
    """Load the conversation in ``path``: its messages, system prompt, options and tools.

    Raises:
        TranscriptError: the file cannot be read, or is no conversation.
        ConfigError: two of the tools have the same name.
    """
    found = load(path)
    before, chat.file_tools = chat.file_tools, found.tools
    try:
        _ = chat.tools
    except Glm3EdgeError:
        chat.file_tools = before
        raise
    chat.conversation.system = found.system
    chat.conversation.messages[:] = found.messages
    chat.options.replace(found.settings)


def _path(text: str) -> Path:
    return Path(text.strip("\"'")).expanduser()
