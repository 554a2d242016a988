"""Logging, and status lines of commands: as text, or as JSON lines."""

import logging
import sys
from datetime import datetime, timezone

from glm3edge.config.log_levels import LOG_LEVELS
from glm3edge.config.sources import find_given
from glm3edge.errors import ConfigError
from glm3edge_convert.printable import json_text, one_line, printable

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

logger = logging.getLogger(__name__)


class PlainFormatter(logging.Formatter):
    """Formatter of records as text that is safe to print."""

    def format(self, record: logging.LogRecord) -> str:
        """Line of a record, and those of its exception."""
        return printable(super().format(record))


class JsonFormatter(logging.Formatter):
    """Formatter of records as JSON objects: time (UTC), level, logger, message, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Line of a record."""
        time = datetime.fromtimestamp(record.created, timezone.utc)
        value = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            value["exception"] = self.formatException(record.exc_info)
        return json_text(value)


def start_logging(
    level: str | None, *, as_json: bool | None = None, default: str = "warning"
) -> None:
    """Write the log to standard error, from ``level`` on.

    With ``as_json``, Python's warnings and the lines of ``announce()`` are written there too. Where
    an option is None, its variable or the configuration file counts.

    Raises:
        ConfigError: there is no such level, or the file cannot be read.
    """
    given = find_given({"log_level": level, "json_logs": as_json})
    if (item := given.get("log_level")) and item.value not in LOG_LEVELS:
        raise ConfigError(f"{item}: choose one of {', '.join(LOG_LEVELS)}")
    logging.basicConfig(level=str(item.value if item else default).upper())
    logging.getLogger("glm3edge.config").setLevel(logging.WARNING)  # of variables: at every level
    as_json = "json_logs" in given and _is_on(given["json_logs"].value)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonFormatter() if as_json else PlainFormatter(_FORMAT))
    if as_json:
        logging.captureWarnings(True)
        logger.setLevel(logging.INFO)


def _is_on(value: object) -> bool:
    """Whether a setting is on, in one of the words that pydantic takes; it checks them later."""
    return str(value).lower() in {"1", "true", "t", "yes", "y", "on"}


def is_json() -> bool:
    """Whether the log is written as JSON."""
    handlers = logging.getLogger().handlers
    return any(isinstance(handler.formatter, JsonFormatter) for handler in handlers)


def announce(label: str, text: str = "") -> None:
    """Print a status line at once: to standard output, or to a JSON log."""
    if is_json():
        logger.info("%s", f"{label}: {text}" if text else label)
    else:
        sys.stdout.write(one_line(f"{label:<8} {text}".rstrip()) + "\n")
        sys.stdout.flush()
