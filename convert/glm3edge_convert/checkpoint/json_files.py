"""JSON files of a checkpoint folder."""

import json
from pathlib import Path
from typing import Any

from glm3edge_convert.errors import DamagedFileError, UnreadableFileError
from glm3edge_convert.files import read_file


def read_object(path: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object.

    Raises:
        DamagedFileError: it holds something else.
        UnreadableFileError: the system does not let it be read.
    """
    value = _read(path)
    if not isinstance(value, dict):
        raise DamagedFileError(path, "is not a JSON object")
    return value


def read_array(path: Path) -> list[Any]:
    """Read a file that holds a JSON array.

    Raises:
        DamagedFileError: it holds something else.
        UnreadableFileError: the system does not let it be read.
    """
    value = _read(path)
    if not isinstance(value, list):
        raise DamagedFileError(path, "is not a JSON array")
    return value


def _read(path: Path) -> object:
    try:
        return json.loads(read_file(path).decode("utf-8"))
    except OSError as exc:
        raise UnreadableFileError(path, exc) from exc
    except (ValueError, RecursionError) as exc:
        raise DamagedFileError(path, "is not JSON") from exc
