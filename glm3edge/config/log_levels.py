"""Levels of the log."""

from typing import Literal, get_args

LogLevel = Literal["debug", "info", "warning", "error"]

LOG_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
