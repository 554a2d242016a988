"""Python's log, as the commands that run for long write it."""

import logging

from glm3edge.errors import ConfigError

LOG_LEVELS = ("debug", "info", "warning", "error")
"""What ``--log-level`` takes."""

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def start_logging(level: str) -> None:
    """Write the log to standard error, from ``level`` on.

    Raises:
        ConfigError: there is no such level.
    """
    if level not in LOG_LEVELS:
        raise ConfigError(f"--log-level {level}: choose one of {', '.join(LOG_LEVELS)}")
    logging.basicConfig(level=level.upper(), format=_FORMAT)
