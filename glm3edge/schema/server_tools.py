"""Tools that run on a provider's servers, and that agents offer beside their own by default."""

import re

from glm3edge.schema.base import RequestModel

# Those with nothing to set up. Whoever sets one up, such as a search in his own files, means it.
_KINDS = re.compile(
    r"(web_search|web_fetch|image_generation|advisor|tool_search(_tool_(bm25|regex))?)"
    r"(_preview)?(_[\d_]+)?"
)


class ServerTool(RequestModel):
    """A tool of OpenAI's or Anthropic's servers. The model is not told of it.

    ``name`` is Anthropic's.
    """

    type: str
    name: str | None = None


def is_server_tool(kind: object) -> bool:
    """Whether ``kind`` is the ``type`` of a ``ServerTool``."""
    return isinstance(kind, str) and _KINDS.fullmatch(kind) is not None
