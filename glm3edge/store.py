"""Model names to GGUF files: a file, a checkpoint folder (converted once), the built-in default."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from glm3edge import __version__
from glm3edge.errors import ConfigError
from glm3edge_convert.convert import Progress, convert
from glm3edge_convert.errors import OutputExistsError
from glm3edge_convert.synth import NUM_SHARDS, SHAPES, make_checkpoint

DEFAULT_NAME = "glm3-tiny-random"
"""The built-in model: a checkpoint of ChatGLM3's shape in small, with random weights."""


class Store:
    """Finds models, and keeps what it makes of them in the cache folder.

    cache_dir/
        checkpoints/glm3-tiny-random-0.1.0/   the built-in checkpoint
        converted/NAME-TYPE-FINGERPRINT.gguf  what checkpoint folders were converted to
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        type: str,  # noqa: A002 - the option's name
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Use ``cache_dir``; convert to quantization ``type``, telling ``progress``."""
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
            return self._converted(self._default_checkpoint())
        path = Path(name).expanduser()
        if path.is_dir():
            return self._converted(path)
        if path.is_file():
            return path
        raise ConfigError(f"there is no file or folder {name}: give a GGUF file or a checkpoint")

    def _default_checkpoint(self) -> Path:
        path = self._cache_dir / "checkpoints" / f"{DEFAULT_NAME}-{__version__}"
        if not path.is_dir():
            make_checkpoint(path, shape=SHAPES["tiny"], num_shards=NUM_SHARDS["tiny"])
        return path

    def _converted(self, checkpoint: Path) -> Path:
        checkpoint = checkpoint.resolve()
        name = f"{checkpoint.name}-{self._type}-{_fingerprint(checkpoint)}.gguf"
        path = self._cache_dir / "converted" / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OutputExistsError):  # another process was quicker
                convert(checkpoint, path, type=self._type, progress=self._progress)
        return path


def _fingerprint(checkpoint: Path) -> str:
    """12 hex digits that change when a file of the folder, or this program, does."""
    digest = hashlib.sha256(__version__.encode())
    for path in sorted(checkpoint.iterdir()):
        status = path.stat()
        digest.update(f"\0{path.name}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:12]
