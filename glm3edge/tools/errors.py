"""The errors of tools.

Glm3EdgeError
├── ConfigError
│   └── SandboxError          nothing here can shut a program in
└── ToolError                 a tool's call that failed; the chat goes on
"""

from collections.abc import Sequence

from glm3edge.errors import ConfigError, Glm3EdgeError


class SandboxError(ConfigError):
    """The code interpreter stays off: this system cannot shut it in.

    Attributes:
        reasons: what was tried, and why it does not work here.
    """

    def __init__(self, reasons: Sequence[str], remedy: str) -> None:
        super().__init__(f"the code interpreter stays off: {'; '.join(reasons)}. {remedy}")
        self.reasons = tuple(reasons)


class ToolError(Glm3EdgeError):
    """A tool's call failed; the message can be given to the model as its result."""
