"""What a tool is to a chat, whatever runs it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that the model may call.

    Attributes:
        name: what the model calls it by.
        description: for the model.
        parameters: a JSON schema of an object.
        run: what does it; takes the arguments, gives text, raises ``ToolError``.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    run: Callable[[dict[str, Any]], Awaitable[str]]

    @property
    def definition(self) -> dict[str, Any]:
        """As OpenAI's API takes it."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }
        return {"type": "function", "function": function}
