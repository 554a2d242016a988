"""Handling of tool calls: shown, run or answered by the user, and their results."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape

from glm3edge.commands.chat.conversation import Call, tool_names
from glm3edge.commands.chat.terminal.interrupt import interruptible
from glm3edge.commands.chat.terminal.translations import Texts
from glm3edge.errors import Glm3EdgeError
from glm3edge.tools.errors import ToolError
from glm3edge.tools.toolbox import Toolbox
from glm3edge_convert.printable import one_line, printable

REFUSED = "The user does not allow this call."
"""Result of a call that the user does not allow."""

MAX_ROUNDS = 8
"""Replies with calls in a row, before the user is asked whether to continue."""

_MAX_SHOWN_CHARS = 2000
_YES = ("y", "yes", "是", "好")
_ALWAYS = ("a", "always", "总是")

Ask = Callable[[str], Awaitable[str]]


class CallCanceledError(Exception):
    """The user cancels a call, and the reply that made it."""


class CallHandler(Protocol):
    """Handler of tool calls."""

    async def result(self, call: Call) -> str:
        """Result of a call.

        Raises:
            CallCanceledError: the user cancels the call and the reply.
            InterruptedByUserError: the user stopped the tool.
            Glm3EdgeError: the call cannot be run here.
        """

    async def may_continue(self, num_rounds: int) -> bool:
        """Whether the model may call tools again, after ``num_rounds`` replies with calls."""


async def run_call(toolbox: Toolbox, call: Call) -> str:
    """Result of running a call; an error is a result too, so that the model can correct it."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError as exc:
        return f"error: the arguments are not JSON: {exc}"
    if not isinstance(arguments, dict):
        return "error: the arguments are not a JSON object"
    try:
        return await toolbox.call(call.name, arguments)
    except ToolError as exc:
        return f"error: {exc}"


class InteractiveCallHandler:
    """Handler that asks the user before a call runs, and for results of tools that are not here."""

    def __init__(self, console: Console, texts: Texts, ask: Ask, toolbox: Toolbox | None) -> None:
        """Show calls on ``console``; ``ask`` asks the user a question."""
        self._console = console
        self._texts = texts
        self._ask = ask
        self._toolbox = toolbox
        self._always: set[str] = set()

    async def result(self, call: Call) -> str:
        """See ``CallHandler``."""
        show_call(self._console, self._texts("call"), call)
        try:
            if self._toolbox is None or call.name not in tool_names(self._toolbox.definitions()):
                self._print_note(self._texts("ask_result_help"))
                return await self._ask(self._texts("ask_result", name=one_line(call.name)))
            if not await self._may_run(self._toolbox, call.name):
                return REFUSED
        except (KeyboardInterrupt, EOFError):
            self._print_note(self._texts("call_canceled"))
            raise CallCanceledError from None
        self._print_note(self._texts("running", name=call.name))
        result = await interruptible(run_call(self._toolbox, call))
        show_result(self._console, self._texts("result"), result)
        return result

    async def _may_run(self, toolbox: Toolbox, name: str) -> bool:
        if name in self._always or toolbox.is_allowed(name):
            return True
        answer = (await self._ask(self._texts("ask_run"))).strip().lower()
        if answer in _ALWAYS:
            self._always.add(name)
        return answer in (*_YES, *_ALWAYS)

    async def may_continue(self, num_rounds: int) -> bool:
        """See ``CallHandler``."""
        try:
            answer = await self._ask(self._texts("ask_more", count=num_rounds))
        except (KeyboardInterrupt, EOFError):
            return False
        return answer.strip().lower() in _YES

    def _print_note(self, text: str) -> None:
        self._console.print(escape(text), style="dim", highlight=False)


class UnattendedCallHandler:
    """Handler for one-shot chats, where no user can be asked: runs the tools that are allowed."""

    def __init__(self, console: Console, texts: Texts, toolbox: Toolbox | None) -> None:
        """Show calls on ``console``, apart from the reply."""
        self._console = console
        self._texts = texts
        self._toolbox = toolbox

    async def result(self, call: Call) -> str:
        """See ``CallHandler``."""
        show_call(self._console, self._texts("call"), call)
        toolbox = self._toolbox
        if toolbox is None or call.name not in tool_names(toolbox.definitions()):
            raise ToolError(f"the model calls {call.name}, which cannot be run here")
        if not toolbox.is_allowed(call.name):
            raise ToolError(
                f"the model calls {call.name}, and there is nobody to ask: allow it by name "
                f"with --allow-tool {call.name}"
            )
        result = await interruptible(run_call(toolbox, call))
        show_result(self._console, self._texts("result"), result)
        return result

    async def may_continue(self, num_rounds: int) -> bool:
        """See ``CallHandler``."""
        raise Glm3EdgeError(f"the model called tools {num_rounds} times without answering")


def show_call(console: Console, label: str, call: Call) -> None:
    """Print a call and its arguments, as the model wrote them."""
    console.print(
        f"[bold cyan]→ {escape(label)}[/] [bold]{escape(one_line(call.name))}[/]", highlight=False
    )
    _show_indented(console, pretty(call.arguments))


def show_result(console: Console, label: str, result: str) -> None:
    """Print the result of a call; only its beginning if it is long."""
    console.print(f"[bold cyan]← {escape(label)}[/]", highlight=False)
    is_cut = len(result) > _MAX_SHOWN_CHARS
    _show_indented(console, result[:_MAX_SHOWN_CHARS] + (" ..." if is_cut else ""))


def pretty(arguments: str) -> str:
    """Arguments for display: indented JSON; a ``code`` argument and invalid JSON as they are."""
    try:
        found: Any = json.loads(arguments)
    except ValueError:
        return arguments
    if isinstance(found, dict) and set(found) == {"code"} and isinstance(found["code"], str):
        return found["code"]
    return json.dumps(found, ensure_ascii=False, indent=2)


def _show_indented(console: Console, text: str) -> None:
    for line in printable(text).split("\n"):
        console.print(f"  {line}", markup=False, highlight=False)
