"""Where settings come from: options, ``GLM3EDGE_*`` variables, the configuration file.

One rule names a setting in all of them: the option ``--ctx-size`` is the variable
``GLM3EDGE_CTX_SIZE`` and the file's key ``ctx-size``. The option wins over the variable, the
variable over the file, and the file over the default.

Nothing slow is imported here, since the log and the first line of ``serve`` need settings, too.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platformdirs import user_config_path

from glm3edge.errors import ConfigError

PREFIX = "GLM3EDGE_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
"""Variable with the path of the configuration file; ``os.devnull`` is an empty one."""

_OFF = {"drafts": "--no-drafts", "kv_on_gpu": "--kv-on-cpu"}
"""Options that switch off what is on by default."""


@dataclass(frozen=True, slots=True)
class Given:
    """Value of a setting as it was given, unchecked."""

    name: str
    value: object
    source: Literal["option", "variable", "file"]

    @property
    def place(self) -> str:
        """Option, variable, or path of the file that it was given in."""
        if self.source == "option":
            return option_of(self.name, self.value)
        return f"{PREFIX}{self.name.upper()}" if self.source == "variable" else str(config_path())

    def __str__(self) -> str:
        """Value as it was written, with the file if it is from there."""
        text = self.written(self.value)
        return f"{self.place}: {text}" if self.source == "file" else text

    def written(self, value: object) -> str:
        """``value`` as a user would write it for this setting in this place."""
        if self.source == "file":
            value = list(value) if isinstance(value, tuple) else value
            return f"{key_of(self.name)} = {json.dumps(value, ensure_ascii=False, default=str)}"
        return f"{self.place}{' ' if self.source == 'option' else '='}{as_text(value)}"


def as_text(value: object) -> str:
    """``value`` as an option or variable has it: a list is separated by commas."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def as_variable(item: Given) -> tuple[str, str]:
    """Variable that gives what ``item`` does, and its value."""
    # A list of the file may have commas in its texts.
    text = json.dumps(item.value) if isinstance(item.value, list) else as_text(item.value)
    return f"{PREFIX}{item.name.upper()}", text


def key_of(name: str) -> str:
    """Key of a setting in the file, which is its option without dashes before it."""
    return name.replace("_", "-")


def option_of(name: str, value: object = True) -> str:
    """Option that gives a setting such a value."""
    return _OFF.get(name, f"--{key_of(name)}") if value is False else f"--{key_of(name)}"


def find_given(options: Mapping[str, object]) -> dict[str, Given]:
    """Values by setting; those of ``options``, where None is not given, win over the others.

    Names of variables and keys are not checked.

    Raises:
        ConfigError: the configuration file cannot be read.
    """
    file = {key.replace("-", "_"): value for key, value in _read(config_path()).items()}
    given = {name: Given(name, value, "file") for name, value in file.items()}
    given |= {name: Given(name, value, "variable") for name, value in _variables().items()}
    return given | {
        name: Given(name, value, "option") for name, value in options.items() if value is not None
    }


def config_path() -> Path:
    """Path of the configuration file, which need not exist."""
    if path := os.environ.get(CONFIG_VARIABLE):
        return Path(path)
    return user_config_path("glm3edge", appauthor=False) / "config.toml"


def _variables() -> dict[str, str]:
    """Values of variables by setting; an empty variable counts as not set."""
    return {
        name.upper().removeprefix(PREFIX).lower(): value
        for name, value in os.environ.items()
        if name.upper().startswith(PREFIX) and name.upper() != CONFIG_VARIABLE and value
    }


def _read(path: Path) -> dict[str, object]:
    # Also true where the folder may not be entered, as for a service without home directories.
    if not os.environ.get(CONFIG_VARIABLE) and not os.path.exists(path):  # noqa: PTH110
        return {}
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - most have no file
    else:
        import tomli as tomllib  # noqa: PLC0415
    try:
        found: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise ConfigError(f"cannot read the configuration file {path}: {exc.strerror}") from exc
    except ValueError as exc:  # it is not UTF-8, or not TOML
        raise ConfigError(
            f'{path} is not valid TOML: {exc}; text goes in quotes, as in host = "127.0.0.1"'
        ) from exc
    return found
