"""Leaving out tools that would run on a provider's servers."""

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.server_tools import ServerTool

logger = logging.getLogger(__name__)

Other = TypeVar("Other")


def without_server_tools(tools: Sequence[Other | ServerTool], *, param: str) -> list[Other]:
    """The other ``tools``: agents offer a search of the web, say, beside what they run themselves.

    Raises:
        InvalidRequestError: there are no others, so that the request is for what cannot be done.
    """
    others = [tool for tool in tools if not isinstance(tool, ServerTool)]
    server_tools = [tool for tool in tools if isinstance(tool, ServerTool)]
    if server_tools and not others:
        field = f"{param}[0].type"
        message = (
            f"{field}: this server has no {server_tools[0].type}: offer a function that does it, "
            "and run what the model calls"
        )
        raise InvalidRequestError(message, param=field)
    for tool in server_tools:
        _warn(tool.type)
    return others


@lru_cache(maxsize=64)
def _warn(kind: str) -> None:
    """Warn once of each kind, as agents offer the same tools again and again."""
    logger.warning("a client offers %s, which does not run here: it is left out", kind)
