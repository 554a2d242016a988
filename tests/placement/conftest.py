"""Models to plan for, and a process with devices to plan with."""

from tests.support.planning import glm3_tiny, host, outlines

__all__ = ["glm3_tiny", "host", "outlines"]
