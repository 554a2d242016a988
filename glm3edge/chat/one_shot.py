"""One-shot: a message from the command line and a pipe, and its reply on standard output."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import BinaryIO

from rich.console import Console
from rich.markup import escape

from glm3edge.chat.calls import UnattendedCaller
from glm3edge.chat.display import PlainDisplay
from glm3edge.chat.texts import Texts
from glm3edge.chat.turn import Chat, describe_excess, take_turn
from glm3edge.errors import ConfigError, ContextLengthExceededError, Glm3EdgeError

INTERRUPTED = 128 + signal.SIGINT
_BROKEN_PIPE = 128 + 13  # SIGPIPE, as a shell tells it; Windows has no such signal


def message_of(words: Sequence[str], piped: str) -> str:
    """What is sent: the words of the command line, then what was piped in.

    Raises:
        ConfigError: both are empty.
    """
    text = "\n\n".join(filter(None, (" ".join(words).strip(), piped.strip())))
    if not text:
        raise ConfigError("there is nothing to send: give a prompt, or pipe a text in")
    return text.encode(errors="replace").decode()  # halves of surrogate pairs have no tokens


def read_piped(file: BinaryIO) -> str:
    """All of ``file`` as text: UTF-8, or else GB 18030, which older Chinese files are in."""
    data = file.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030", errors="replace")


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
