"""What becomes of the calls in a reply: shown, run or typed, and their results."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape

from glm3edge.commands.chat.conversation import Call, tool_names
from glm3edge.commands.chat.terminal.interrupt import interruptible
from glm3edge.commands.chat.terminal.markdown import plain_of
from glm3edge.commands.chat.terminal.translations import Texts
from glm3edge.errors import Glm3EdgeError
from glm3edge.tools.errors import ToolError
from glm3edge.tools.toolbox import Toolbox

REFUSED = "The user does not allow this call."
"""The result of a call that the user does not let run."""

MAX_ROUNDS = 8
"""Replies with calls, one after another, before the user is asked whether to go on."""

_MAX_SHOWN_CHARS = 2000
_YES = ("y", "yes", "是", "好")
_ALWAYS = ("a", "always", "总是")

Ask = Callable[[str], Awaitable[str]]


class CallGivenUpError(Exception):
    """The user gives a call up, and the reply that made it."""


class Caller(Protocol):
    """Who sees to calls."""

    async def result(self, call: Call) -> str:
        """The result of a call.

        Raises:
            CallGivenUpError: there is none, and the reply shall not go on.
            InterruptedByUserError: the user stopped what ran.
            Glm3EdgeError: there cannot be one.
        """

    async def may_go_on(self, num_rounds: int) -> bool:
        """Whether the model may call tools once more, after so many rounds."""


async def run_call(toolbox: Toolbox, call: Call) -> str:
    """Run a call; what is wrong with it is its result, for the model to mend."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError as exc:
        return f"error: the arguments are no JSON: {exc}"
    if not isinstance(arguments, dict):
        return "error: the arguments are no JSON object"
    try:
        return await toolbox.call(call.name, arguments)
    except ToolError as exc:
        return f"error: {exc}"


class InteractiveCaller:
    """Asks before a call runs, and for results of tools that are not here. See ``Caller``."""

    def __init__(self, console: Console, texts: Texts, ask: Ask, toolbox: Toolbox | None) -> None:
        """Show calls on ``console``; ``ask`` gets an answer to a question."""
        self._console = console
        self._texts = texts
        self._ask = ask
        self._toolbox = toolbox
        self._always: set[str] = set()

    async def result(self, call: Call) -> str:
        """See ``Caller``."""
        show_call(self._console, self._texts("call"), call)
        try:
            if self._toolbox is None or call.name not in tool_names(self._toolbox.definitions()):
                self._say(self._texts("ask_result_help"))
                return await self._ask(self._texts("ask_result", name=plain_of(call.name)))
            if not await self._may_run(self._toolbox, call.name):
                return REFUSED
        except (KeyboardInterrupt, EOFError):
            self._say(self._texts("given_up"))
            raise CallGivenUpError from None
        self._say(self._texts("running", name=call.name))
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

    async def may_go_on(self, num_rounds: int) -> bool:
        """See ``Caller``."""
        try:
            answer = await self._ask(self._texts("ask_more", count=num_rounds))
        except (KeyboardInterrupt, EOFError):
            return False
        return answer.strip().lower() in _YES

    def _say(self, text: str) -> None:
        self._console.print(escape(text), style="dim", highlight=False)


class UnattendedCaller:
    """Runs what may run without asking; nobody is there to ask. See ``Caller``."""

    def __init__(self, console: Console, texts: Texts, toolbox: Toolbox | None) -> None:
        """Show calls on ``console``, which is not where the reply goes."""
        self._console = console
        self._texts = texts
        self._toolbox = toolbox

    async def result(self, call: Call) -> str:
        """See ``Caller``."""
        show_call(self._console, self._texts("call"), call)
        toolbox = self._toolbox
        if toolbox is None or call.name not in tool_names(toolbox.definitions()):
            raise ToolError(f"the model calls {call.name}, which cannot be run here")
        if not toolbox.is_allowed(call.name):
            raise ToolError(
                f"the model calls {call.name}, and nobody can be asked: allow it by name "
                f"with --allow-tool {call.name}"
            )
        result = await interruptible(run_call(toolbox, call))
        show_result(self._console, self._texts("result"), result)
        return result

    async def may_go_on(self, num_rounds: int) -> bool:
        """See ``Caller``."""
        raise Glm3EdgeError(f"the model has called tools {num_rounds} times and did not answer")


def show_call(console: Console, label: str, call: Call) -> None:
    """A call with its arguments, as the model wrote them."""
    console.print(
        f"[bold cyan]→ {escape(label)}[/] [bold]{escape(plain_of(call.name))}[/]", highlight=False
    )
    _show_indented(console, pretty(call.arguments))


def show_result(console: Console, label: str, result: str) -> None:
    """The result of a call, the beginning of it if it is long."""
    console.print(f"[bold cyan]← {escape(label)}[/]", highlight=False)
    is_cut = len(result) > _MAX_SHOWN_CHARS
    _show_indented(console, result[:_MAX_SHOWN_CHARS] + (" ..." if is_cut else ""))


def pretty(arguments: str) -> str:
    """Arguments for the eye: JSON with line ends, and code as it is; what is no JSON as it came."""
    try:
        found: Any = json.loads(arguments)
    except ValueError:
        return arguments
    if isinstance(found, dict) and set(found) == {"code"} and isinstance(found["code"], str):
        return found["code"]
    return json.dumps(found, ensure_ascii=False, indent=2)


def _show_indented(console: Console, text: str) -> None:
    for line in plain_of(text).split("\n"):
        console.print(f"  {line}", markup=False, highlight=False)
