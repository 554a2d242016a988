"""One-shot: a message from the command line and a pipe, and its reply on standard output."""

import os
import signal
import sys

from rich.console import Console
from rich.markup import escape

from glm3edge.commands.chat.calls import UnattendedCaller
from glm3edge.commands.chat.terminal.display import PlainDisplay
from glm3edge.commands.chat.terminal.translations import Texts
from glm3edge.commands.chat.turn import Chat, describe_excess, take_turn
from glm3edge.errors import ContextLengthExceededError, Glm3EdgeError

INTERRUPTED = 128 + signal.SIGINT
_BROKEN_PIPE = 128 + 13  # SIGPIPE, as a shell tells it; Windows has no such signal


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
