"""config.json of a checkpoint folder, and checks of its values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glm3edge_convert.checkpoint.json_files import read_object
from glm3edge_convert.errors import ConfigError, NotACheckpointError

CONFIG_FILE = "config.json"
MAX_COUNT = 2**31 - 1  # llama.cpp keeps sizes in 32-bit integers
MAX_LAYERS = 512  # LLAMA_MAX_LAYERS


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json, without checking its values.

    Raises:
        NotACheckpointError: there is no such folder, or no config.json in it.
        DamagedFileError: the file is not a JSON object.
    """
    if not folder.is_dir():
        raise NotACheckpointError(folder, "the folder does not exist")
    if not (folder / CONFIG_FILE).is_file():
        raise NotACheckpointError(folder, f"{CONFIG_FILE} is missing")
    return read_object(folder / CONFIG_FILE)


def count(
    path: Path,
    config: Mapping[str, Any],
    key: str,
    *,
    default: int | None = None,
    largest: int = MAX_COUNT,
) -> int:
    """Return a positive whole number of ``config``, ``largest`` at most.

    Raises:
        ConfigError: the value is something else, or missing without a ``default``.
    """
    value = config.get(key, default)
    if type(value) is not int or not 0 < value <= largest:
        limit = f" up to {largest}" if type(value) is int and value > largest else ""
        raise ConfigError(path, key, f"is {value!r} and must be a positive whole number{limit}")
    return value


def positive(path: Path, config: Mapping[str, Any], key: str, *, default: float) -> float:
    """Return a positive number of ``config``.

    Raises:
        ConfigError: the value is something else.
    """
    value = config.get(key, default)
    if type(value) not in {int, float} or not 0 < value <= MAX_COUNT:
        raise ConfigError(path, key, f"is {value!r} and must be a positive number")
    return float(value)


def check_options(path: Path, config: Mapping[str, Any], fixed: Mapping[str, object]) -> None:
    """Check that options are unset, or have the only value that is supported.

    Raises:
        ConfigError: an option of ``fixed`` has another value than the one there.
    """
    for key, supported in fixed.items():
        value = config.get(key)
        if value is not None and value != supported:
            raise ConfigError(path, key, f"is {value!r}, and only {supported!r} can be converted")
