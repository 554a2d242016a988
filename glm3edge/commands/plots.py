"""Plots of reports, with matplotlib, which is optional."""

from typing import Any

from glm3edge.errors import ConfigError


def new_plot(height: float) -> tuple[Any, Any]:
    """Figure of 7 by ``height`` inches, and its axes.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as exc:
        raise ConfigError("a plot needs matplotlib: pip install 'glm3edge[bench]'") from exc
    figure = Figure(figsize=(7, height), layout="constrained")
    return figure, figure.add_subplot()
