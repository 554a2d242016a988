"""A tool of the chat, however it is implemented."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call.

    Attributes:
        name: the name in the model's calls.
        description: tells the model what it does.
        parameters: JSON schema of the arguments, an object.
        run: runs it; takes the arguments, returns text, raises ``ToolError``.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    run: Callable[[dict[str, Any]], Awaitable[str]]

    @property
    def definition(self) -> dict[str, Any]:
        """The tool in the form of OpenAI's API."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }
        return {"type": "function", "function": function}
