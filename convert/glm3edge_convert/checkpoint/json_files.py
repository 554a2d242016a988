"""JSON files of a checkpoint folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from glm3edge_convert.errors import DamagedFileError, UnreadableFileError

if TYPE_CHECKING:
    from pathlib import Path


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises DamagedFileError if it holds anything else."""
    value = _read(path)
    if not isinstance(value, dict):
        raise DamagedFileError(path, "is not a JSON object")
    return value


def read_array(path: Path) -> list[Any]:
    """The JSON array in a file. Raises DamagedFileError if it holds anything else."""
    value = _read(path)
    if not isinstance(value, list):
        raise DamagedFileError(path, "is not a JSON array")
    return value


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise UnreadableFileError(path, exc) from exc
    except (ValueError, RecursionError) as exc:
        raise DamagedFileError(path, "is not JSON") from exc
