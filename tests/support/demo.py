"""Type of the ``demo`` fixture, which gives the built-in model in a quantization."""

from collections.abc import Callable
from pathlib import Path

Demo = Callable[[str], Path]
