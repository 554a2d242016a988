"""Errors of tools.

Glm3EdgeError
├── ConfigError
│   └── SandboxError          this system has no sandbox for the code interpreter
└── ToolError                 a call failed; the chat continues
"""

from collections.abc import Sequence

from glm3edge.errors import ConfigError, Glm3EdgeError


class SandboxError(ConfigError):
    """The code interpreter stays off, since no sandbox works on this system.

    Attributes:
        reasons: why each sandbox that was tried does not work.
    """

    def __init__(self, reasons: Sequence[str], remedy: str) -> None:
        super().__init__(f"the code interpreter stays off: {'; '.join(reasons)}. {remedy}")
        self.reasons = tuple(reasons)


class ToolError(Glm3EdgeError):
    """A tool call failed; the message can be given to the model as the result."""
