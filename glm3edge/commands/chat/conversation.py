"""Conversation: what was said, in OpenAI's messages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from glm3edge.errors import ConfigError
from glm3edge.schema.chat import INTERPRETER
from glm3edge.tools.toolbox import Toolbox


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool; ``arguments`` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Conversation:
    """Messages, and the system prompt apart from them.

    After a failure, or a reply that was stopped before it began, the last message is a question
    without an answer; it stays to be sent again, and gives way to the next one.
    """

    system: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def all_messages(self) -> list[dict[str, Any]]:
        """As they are sent: with the system prompt, if there is one."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, *self.messages]

    @property
    def has_question(self) -> bool:
        """Whether there is anything to reply to."""
        return any(message["role"] == "user" for message in self.messages)

    @property
    def num_exchanges(self) -> int:
        """Questions that were asked."""
        return sum(message["role"] == "user" for message in self.messages)

    def ask(self, text: str) -> None:
        """Add a question; one that got no answer is replaced."""
        if self.messages and self.messages[-1]["role"] == "user":
            self.messages.pop()
        self.messages.append({"role": "user", "content": text})

    def add_reply(self, text: str, calls: Sequence[Call] = ()) -> None:
        """Add what was replied; nothing, if that is nothing."""
        message: dict[str, Any] = {"role": "assistant", "content": text or None}
        if calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in calls
            ]
        if text or calls:
            self.messages.append(message)

    def add_result(self, call: Call, text: str) -> None:
        """Add the result of a call."""
        self.messages.append({"role": "tool", "tool_call_id": call.id, "content": text})

    def rewind(self) -> bool:
        """Take back what followed the last question; whether there is one."""
        if not self.has_question:
            return False
        while self.messages[-1]["role"] != "user":
            self.messages.pop()
        return True

    def undo(self) -> str | None:
        """Take back the last question and what followed; its text, None if there is none."""
        if not self.rewind():
            return None
        return str(self.messages.pop()["content"] or "")

    def reset(self) -> None:
        """Forget all messages; the system prompt stays."""
        self.messages.clear()


def tool_names(definitions: Sequence[dict[str, Any]]) -> list[str]:
    """The names that ``definitions`` can be called by; ``code_interpreter`` has one of its own."""
    functions = (definition.get("function") for definition in definitions)
    return [str(function["name"]) if function else INTERPRETER for function in functions]


def offered_tools(
    definitions: Sequence[dict[str, Any]], toolbox: Toolbox | None
) -> list[dict[str, Any]]:
    """Tools of a file, then those that can be run here.

    Raises:
        ConfigError: two have one name.
    """
    offered = [*definitions, *(toolbox.definitions() if toolbox is not None else [])]
    seen: set[str] = set()
    for name in tool_names(offered):
        if name in seen:
            raise ConfigError(f"two tools are called {name}: leave out one of them")
        seen.add(name)
    return offered
