"""Form: how a request was put, and so how its reply has to look."""

from enum import Enum, auto

from glm3edge.schema.legacy import ChatBody


class Form(Enum):
    """TOOLS is today's; FUNCTIONS OpenAI's before; OFFICIAL that of ChatGLM3's own server."""

    TOOLS = auto()
    FUNCTIONS = auto()
    OFFICIAL = auto()

    @classmethod
    def of(cls, body: ChatBody) -> "Form":
        """The form of ``body``."""
        if body.functions:
            return cls.FUNCTIONS
        return cls.OFFICIAL if isinstance(body.tools, dict) else cls.TOOLS
