"""Model names to GGUF files: a file, a checkpoint folder (converted once), the built-in default."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from glm3edge import __version__
from glm3edge.errors import ConfigError
from glm3edge_convert.convert import Progress, convert
from glm3edge_convert.errors import OutputExistsError
from glm3edge_convert.lora import DEFAULT_ADAPTER_TYPE, convert_lora
from glm3edge_convert.plan import model_name
from glm3edge_convert.prefix import convert_prefix
from glm3edge_convert.recipe import DEFAULT_TYPE
from glm3edge_convert.scaled import ScaledPath

DEFAULT_NAME = "glm3-tiny"
"""The built-in model: ChatGLM3 in small, trained to chat a little and to call tools."""

_TYPE_OF_BUILT_IN = "q8_0"  # seven million parameters have none to spare, and take 8 MB

_PACKAGE = Path(__file__).resolve().parent
_DEFAULT_CHECKPOINTS = (
    _PACKAGE / "checkpoints" / DEFAULT_NAME,  # in a wheel
    _PACKAGE.parent / "models" / DEFAULT_NAME,  # in the source folder
)


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """A GGUF adapter, what requests call it, and what its change of the weights is multiplied with.

    It is called as its file or folder is, without ``.gguf``.
    """

    name: str
    path: Path
    scale: float


@dataclass(frozen=True, slots=True)
class PrefixFile:
    """A GGUF file of a P-Tuning v2 prefix, and what requests call it: as an AdapterFile is."""

    name: str
    path: Path


class Store:
    """Finds models, and keeps what it makes of them in the cache folder.

    cache_dir/
        converted/NAME-TYPE-FINGERPRINT.gguf  what checkpoint folders were converted to
        converted/NAME-lora-TYPE-FINGERPRINT.gguf  and adapter folders
        converted/NAME-prefix-FINGERPRINT.gguf  and folders of P-Tuning v2
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

    def find_adapters(self, texts: Sequence[str]) -> list[AdapterFile]:
        """The GGUF adapters for ``FILE_OR_FOLDER[:SCALE]``.

        Raises:
            ConfigError: there is no such file or folder, or two have one name.
            ConvertError: a folder could not be converted.
        """
        found = []
        for text in texts:
            given = ScaledPath.parse(text)
            name, path = _named(given.path, "a LoRA adapter")
            if path.is_dir():
                path = self._converted_adapter(path)
            found.append(AdapterFile(name, path, given.scale))
        _check_names(file.name for file in found)
        return found

    def find_prefixes(self, names: Sequence[str]) -> list[PrefixFile]:
        """The GGUF files for P-Tuning v2 prefixes, which are files or folders.

        Raises:
            ConfigError: there is no such file or folder, or two have one name.
            ConvertError: a folder could not be converted.
        """
        found = []
        for given in names:
            name, path = _named(Path(given).expanduser(), "a P-Tuning v2 prefix")
            if path.is_dir():
                path = self._converted_prefix(path)
            found.append(PrefixFile(name, path))
        _check_names(file.name for file in found)
        return found

    def _converted_adapter(self, folder: Path) -> Path:
        return self._made(
            folder,
            f"lora-{DEFAULT_ADAPTER_TYPE}",
            lambda source, path: convert_lora(source, path, type=DEFAULT_ADAPTER_TYPE),
        )

    def _converted_prefix(self, folder: Path) -> Path:
        return self._made(folder, "prefix", convert_prefix)

    def _converted(self, checkpoint: Path, type: str) -> Path:  # noqa: A002
        return self._made(
            checkpoint,
            type,
            lambda source, path: convert(source, path, type=type, progress=self._progress),
        )

    def _made(self, folder: Path, kind: str, make: Callable[[Path, Path], object]) -> Path:
        """The file that ``make`` makes of a folder, made now if it is not there yet."""
        folder = folder.resolve()
        path = self._cache_dir / "converted" / f"{folder.name}-{kind}-{_fingerprint(folder)}.gguf"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OutputExistsError):  # another process was quicker
                make(folder, path)
        return path


def _named(path: Path, wanted: str) -> tuple[str, Path]:
    """What requests call an adapter's file or folder, and the path itself.

    Raises:
        ConfigError: there is nothing.
    """
    if path.is_dir():
        return model_name(path), path
    if path.is_file():
        return path.stem, path
    raise ConfigError(f"there is no file or folder {path}: give {wanted}")


def _check_names(names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ConfigError(f"two adapters are called {name}: rename one of them")


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
