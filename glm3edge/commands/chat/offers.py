"""What the model may call: tools of a file, whose results are typed, and tools that run here."""

from collections.abc import Sequence
from typing import Any

from glm3edge.errors import ConfigError
from glm3edge.schema.chat import INTERPRETER
from glm3edge.tools.toolbox import Toolbox


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
