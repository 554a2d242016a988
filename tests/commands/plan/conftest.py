"""Fixtures to plan with: models, and a child process with fake devices."""

from tests.support.planning import child, glm3_tiny

__all__ = ["child", "glm3_tiny"]
