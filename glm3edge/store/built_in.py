"""The built-in model: a small ChatGLM3 that ships with the package as a checkpoint."""

from pathlib import Path

from glm3edge.errors import ConfigError

DEFAULT_NAME = "glm3-tiny"
"""Name of the built-in model, trained to chat a little and to call tools."""

DEFAULT_QUANT_TYPE = "q8_0"
"""Seven million parameters have none to spare for a smaller type, and take 8 MB."""

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKPOINTS = (
    _PACKAGE / "checkpoints" / DEFAULT_NAME,  # in a wheel
    _PACKAGE.parent / "models" / DEFAULT_NAME,  # in the source folder
)


def built_in_checkpoint() -> Path:
    """Checkpoint folder of the built-in model.

    Raises:
        ConfigError: the installation lacks it.
    """
    for path in _CHECKPOINTS:
        if (path / "config.json").is_file():
            return path
    raise ConfigError(f"this installation lacks its built-in model {DEFAULT_NAME}: name a model")
