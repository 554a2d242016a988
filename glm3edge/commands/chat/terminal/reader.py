"""Input from the terminal, with history, completion and multi-line messages."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from platformdirs import user_state_path
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output

from glm3edge.commands.chat.generation_options import NAMES
from glm3edge.commands.chat.slash_commands import ARGUMENTS, TAKES_FILE

QUOTES = '"""'

_MAX_ENTRIES = 1000


def history_path() -> Path:
    """File of the input history."""
    return user_state_path("glm3edge", appauthor=False) / "chat-history"


def is_unfinished(text: str) -> bool:
    """Whether a message that begins with triple quotes lacks the closing ones."""
    body = text.strip()
    return body.startswith(QUOTES) and (len(body) < 6 or not body.endswith(QUOTES))


def message_of(text: str) -> str:
    """Message of a text that was typed: without the triple quotes around it."""
    body = text.strip()
    if body.startswith(QUOTES) and body.endswith(QUOTES) and len(body) >= 6:
        return body[3:-3].strip("\n")
    return body


class PrivateHistory(FileHistory):
    """History that only its owner can read. Lines that begin with a space are not saved."""

    def __init__(self, path: Path) -> None:
        """Use the file ``path``, cut to its last entries.

        Raises:
            OSError: the file cannot be made.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        super().__init__(str(path))
        entries = list(self.load_history_strings())
        if len(entries) > 2 * _MAX_ENTRIES:
            path.write_bytes(b"")
            for entry in reversed(entries[:_MAX_ENTRIES]):
                self.store_string(entry)

    def append_string(self, string: str) -> None:
        """Add a line, unless it begins with a space."""
        if not string.startswith(" "):
            super().append_string(string)

    def store_string(self, string: str) -> None:
        """Write a line to the disk, if that is possible."""
        with suppress(OSError):
            super().store_string(string)


class _CommandCompleter(Completer):
    """Completer of commands and their arguments."""

    def __init__(self, models: Callable[[], Sequence[str]]) -> None:
        self._models = models
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        name, space, argument = text[1:].partition(" ")
        if not space:
            yield from _matching(ARGUMENTS, name)
        elif name in TAKES_FILE:
            rest = Document(argument, len(argument))
            yield from self._paths.get_completions(rest, complete_event)
        elif name == "model":
            yield from _matching(self._models(), argument)
        elif name == "set" and " " not in argument:
            yield from _matching(NAMES, argument)


def _matching(words: Iterable[str], start: str) -> Iterable[Completion]:
    return (Completion(word, -len(start)) for word in words if word.startswith(start))


class Reader:
    """Reader of messages, and of answers to questions, from the terminal."""

    def __init__(
        self,
        *,
        models: Callable[[], Sequence[str]],
        keep_history: bool = True,
        input: Input | None = None,  # noqa: A002 - the library's name
        output: Output | None = None,
    ) -> None:
        """Read from ``input`` and echo to ``output``, by default the terminal."""
        self._messages = PromptSession[str](
            history=_history() if keep_history else InMemoryHistory(),
            completer=_CommandCompleter(models),
            complete_while_typing=True,
            reserve_space_for_menu=4,
            multiline=True,
            prompt_continuation=_continuation,
            key_bindings=_key_bindings(),
            input=input,
            output=output,
        )
        self._answers = PromptSession[str](
            history=InMemoryHistory(),
            multiline=True,
            prompt_continuation=_continuation,
            key_bindings=_key_bindings(),
            input=input,
            output=output,
        )

    async def message(self, prompt: str) -> str:
        """Read a message, as it was typed; see ``message_of()``.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; its argument is the text of the line.
            EOFError: Ctrl-D was pressed on an empty line.
        """
        try:
            return await self._messages.prompt_async(prompt)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._messages.default_buffer.text) from None

    async def answer(self, prompt: str) -> str:
        """Read an answer to a question, which is not saved in the history.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
            EOFError: Ctrl-D was pressed on an empty line.
        """
        return await self._answers.prompt_async(prompt)


def _history() -> History:
    try:
        return PrivateHistory(history_path())
    except OSError:
        return InMemoryHistory()


def _continuation(width: int, _line: int, _is_soft: int) -> str:
    """Prompt of a continued line; spaces where a line was only wrapped."""
    return " " * width if _is_soft else "… ".rjust(width)


def _key_bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_after_cursor == "" and buffer.text.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        elif is_unfinished(buffer.text):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    @bindings.add("c-j")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings
