"""Model names to GGUF files: a file, a checkpoint folder (converted once), the built-in default."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from glm3edge import __version__
from glm3edge.errors import ConfigError
from glm3edge_convert.convert import Progress, convert
from glm3edge_convert.errors import OutputExistsError
from glm3edge_convert.recipe import DEFAULT_TYPE

DEFAULT_NAME = "glm3-tiny"
"""The built-in model: ChatGLM3 in small, trained to chat a little and to call tools."""

_TYPE_OF_BUILT_IN = "q8_0"  # seven million parameters have none to spare, and take 8 MB

_PACKAGE = Path(__file__).resolve().parent
_DEFAULT_CHECKPOINTS = (
    _PACKAGE / "checkpoints" / DEFAULT_NAME,  # in a wheel
    _PACKAGE.parent / "models" / DEFAULT_NAME,  # in the source folder
)


class Store:
    """Finds models, and keeps what it makes of them in the cache folder.

    cache_dir/
        converted/NAME-TYPE-FINGERPRINT.gguf  what checkpoint folders were converted to
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        type: str | None = None,  # noqa: A002 - the option's name
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Use ``cache_dir``; convert to quantization ``type``, telling ``progress``.

        Without a ``type``, a folder becomes ``DEFAULT_TYPE`` and the built-in model q8_0.
        """
        self._cache_dir = cache_dir
        self._type = type
        self._progress = progress

    def find(self, name: str | None) -> Path:
        """The GGUF file for ``name``: a GGUF file or checkpoint folder, None for the default.

        Raises:
            ConfigError: there is no such file or folder.
            ConvertError: the folder could not be converted.
        """
        if name is None:
            return self._converted(_default_checkpoint(), self._type or _TYPE_OF_BUILT_IN)
        path = Path(name).expanduser()
        if path.is_dir():
            return self._converted(path, self._type or DEFAULT_TYPE)
        if path.is_file():
            return path
        raise ConfigError(f"there is no file or folder {name}: give a GGUF file or a checkpoint")

    def find_encoder(self, name: str | None) -> Path | None:
        """The GGUF file for an encoder: as ``find()``, but None stays None and folders become f16.

        Raises:
            ConfigError: there is no such file or folder.
            ConvertError: the folder could not be converted.
        """
        if name is None:
            return None
        path = Path(name).expanduser()
        return self._converted(path, "f16") if path.is_dir() else self.find(name)

    def _converted(self, checkpoint: Path, type: str) -> Path:  # noqa: A002
        checkpoint = checkpoint.resolve()
        name = f"{checkpoint.name}-{type}-{_fingerprint(checkpoint)}.gguf"
        path = self._cache_dir / "converted" / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OutputExistsError):  # another process was quicker
                convert(checkpoint, path, type=type, progress=self._progress)
        return path


def _default_checkpoint() -> Path:
    """The folder of the built-in model.

    Raises:
        ConfigError: the installation lacks it.
    """
    for path in _DEFAULT_CHECKPOINTS:
        if (path / "config.json").is_file():
            return path
    raise ConfigError(f"this installation lacks its built-in model {DEFAULT_NAME}: name a model")


def _fingerprint(checkpoint: Path) -> str:
    """12 hex digits that change when a file in the folder, or this program, does."""
    digest = hashlib.sha256(__version__.encode())
    for path in sorted(path for path in checkpoint.rglob("*") if path.is_file()):
        status = path.stat()
        digest.update(
            f"\0{path.relative_to(checkpoint)}\0{status.st_size}\0{status.st_mtime_ns}".encode()
        )
    return digest.hexdigest()[:12]
