"""Toolbox: tools that can be run here, as the chat needs them."""

from collections.abc import Sequence
from typing import Any, Protocol

from glm3edge.errors import ConfigError


class Toolbox(Protocol):
    """Tools that this program can run when the model calls them."""

    def definitions(self) -> list[dict[str, Any]]:
        """The tools in OpenAI's form: ``{"type": "function", "function": {...}}``."""

    def is_allowed(self, name: str) -> bool:
        """Whether a call may run without asking."""

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Run a call; the result as text.

        Raises:
            ToolError: it could not be run; the reason is fed back as the result.
        """


def tool_names(definitions: Sequence[dict[str, Any]]) -> list[str]:
    """The names that ``definitions`` can be called by."""
    return [str(definition["function"]["name"]) for definition in definitions]


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
