"""Conversation: its messages in OpenAI's form, and the tools that it offers the model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from glm3edge.errors import ConfigError
from glm3edge.schema.chat import INTERPRETER
from glm3edge.tools.toolbox import Toolbox


@dataclass(frozen=True, slots=True)
class Call:
    """Tool call; ``arguments`` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Conversation:
    """Messages of a conversation, and its system prompt.

    After a failure, or a reply that was stopped before it began, the last message is the user's. It
    stays so that it can be sent again, and the user's next message replaces it.
    """

    system: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def all_messages(self) -> list[dict[str, Any]]:
        """Messages as they are sent: with the system prompt, if there is one."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, *self.messages]

    @property
    def has_question(self) -> bool:
        """Whether there is a message of the user, to reply to."""
        return any(message["role"] == "user" for message in self.messages)

    @property
    def num_exchanges(self) -> int:
        """Number of the user's messages."""
        return sum(message["role"] == "user" for message in self.messages)

    def ask(self, text: str) -> None:
        """Add a message of the user; it replaces one that got no reply."""
        if self.messages and self.messages[-1]["role"] == "user":
            self.messages.pop()
        self.messages.append({"role": "user", "content": text})

    def add_reply(self, text: str, calls: Sequence[Call] = ()) -> None:
        """Add the model's reply, unless it is empty."""
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
        """Remove what followed the user's last message; False if there is none."""
        if not self.has_question:
            return False
        while self.messages[-1]["role"] != "user":
            self.messages.pop()
        return True

    def undo(self) -> str | None:
        """Remove the user's last message and what followed; its text, None if there is none."""
        if not self.rewind():
            return None
        return str(self.messages.pop()["content"] or "")

    def reset(self) -> None:
        """Remove all messages; the system prompt stays."""
        self.messages.clear()


def tool_names(definitions: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the tools in ``definitions``; the code interpreter's definition has none."""
    functions = (definition.get("function") for definition in definitions)
    return [str(function["name"]) if function else INTERPRETER for function in functions]


def offered_tools(
    definitions: Sequence[dict[str, Any]], toolbox: Toolbox | None
) -> list[dict[str, Any]]:
    """Definitions of the tools of a file, whose results the user types, and of those that run here.

    Raises:
        ConfigError: two have the same name.
    """
    offered = [*definitions, *(toolbox.definitions() if toolbox is not None else [])]
    seen: set[str] = set()
    for name in tool_names(offered):
        if name in seen:
            raise ConfigError(f"two tools are called {name}: leave out one of them")
        seen.add(name)
    return offered
