"""Conversion into the cache folder: checkpoints and adapters, each once.

The name of a converted file ends in a fingerprint of what it was made from and of this program's
version, so a changed checkpoint is converted again.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

from glm3edge import __version__
from glm3edge.errors import ConfigError
from glm3edge.store.cache import ConvertedModels, Origin
from glm3edge.store.hub.clients import Hub
from glm3edge.store.hub.names import HubName
from glm3edge.store.hub.pull import Pulled
from glm3edge.store.streaming import WeightStream
from glm3edge_convert import convert, convert_lora, convert_prefix
from glm3edge_convert.adapters.lora import DEFAULT_ADAPTER_TYPE
from glm3edge_convert.errors import OutputExistsError
from glm3edge_convert.progress import Step

Announce = Callable[[str, str], None]
"""Takes what is about to be done, as a word ("convert") and a line on it."""


class CachedConverter:
    """Converts checkpoints and adapters, unless the cache folder has the result already."""

    def __init__(
        self,
        models: ConvertedModels,
        *,
        progress: Callable[[Step], None] | None = None,
        announce: Announce | None = None,
    ) -> None:
        self._models = models
        self._progress = progress
        self._announce = announce

    def find(self, name: HubName, quant_type: str, *, any_version: bool = False) -> Path | None:
        """File that was converted from a repository before, noted as used now.

        Only files of this version of the program count, unless ``any_version``.
        """
        if name.file_choice:
            return None
        version = None if any_version else __version__
        path = self._models.find(name, quant_type, version=version)
        if path is not None:
            self._models.note_use(path)
        return path

    def convert_checkpoint(
        self,
        checkpoint: Path,
        quant_type: str,
        origin: Origin,
        *,
        name: str | None = None,
        fingerprint: str | None = None,
        weights: WeightStream | None = None,
    ) -> Path:
        """Convert a checkpoint folder; ``name`` and ``fingerprint`` are the folder's if not given.

        Its ``weights`` are downloaded meanwhile, if they are not there.

        Raises:
            ConfigError: the cache folder cannot be written.
            HubError: the weights cannot be downloaded.
            ConvertError: the checkpoint cannot be converted.
        """
        checkpoint, quant_type = checkpoint.resolve(), quant_type.lower()
        fingerprint = fingerprint or _fingerprint(checkpoint)
        make = partial(convert, checkpoint, progress=self._progress)
        path = self._convert_once(
            f"{name or checkpoint.name}-{quant_type}-{fingerprint}.gguf",
            f"{checkpoint} to {quant_type}{' while it is downloaded' if weights else ''}",
            partial(weights.convert if weights else make, quant_type=quant_type),
        )
        self._models.note_use(path, origin)
        return path

    def convert_pulled(self, pulled: Pulled, quant_type: str, hub: Hub) -> Path:
        """Convert a repository's checkpoint, whose weights come from ``hub`` if they are missing.

        Raises:
            ConfigError: the cache folder cannot be written.
            HubError: the weights cannot be downloaded.
            ConvertError: the checkpoint cannot be converted.
        """
        listing = pulled.listing
        return self.convert_checkpoint(
            pulled.path,
            quant_type,
            Origin.of(listing),
            name=listing.name.repo.rpartition("/")[2],
            fingerprint=_digest(__version__, listing.commit),
            weights=WeightStream(hub, pulled, self._progress) if pulled.missing else None,
        )

    def convert_lora(self, folder: Path) -> Path:
        """Convert a LoRA adapter's folder.

        Raises:
            ConfigError: the cache folder cannot be written.
            ConvertError: the adapter cannot be converted.
        """
        make = partial(convert_lora, quant_type=DEFAULT_ADAPTER_TYPE)
        return self._convert_adapter(folder, f"lora-{DEFAULT_ADAPTER_TYPE}", make)

    def convert_prefix(self, folder: Path) -> Path:
        """Convert a P-Tuning v2 prefix's folder.

        Raises:
            ConfigError: the cache folder cannot be written.
            ConvertError: the prefix cannot be converted.
        """
        return self._convert_adapter(folder, "prefix", convert_prefix)

    def make_folder(self) -> None:
        """Make the folder of converted models, if it is not there yet.

        Raises:
            ConfigError: it cannot be made, or not written to.
        """
        folder = self._models.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                pass
        except OSError as exc:
            raise ConfigError(
                f"the cache folder {folder} cannot be written: {exc.strerror or exc}; give another "
                "with --cache-dir or GLM3EDGE_CACHE_DIR"
            ) from exc

    def _convert_adapter(
        self, folder: Path, kind: str, make: Callable[[Path, Path], object]
    ) -> Path:
        folder = folder.resolve()
        file_name = f"{folder.name}-{kind}-{_fingerprint(folder)}.gguf"
        return self._convert_once(file_name, str(folder), partial(make, folder))

    def _convert_once(self, file_name: str, text: str, make: Callable[[Path], object]) -> Path:
        path = self._models.folder / file_name
        if not path.is_file():
            self.make_folder()
            if self._announce is not None:
                self._announce("convert", f"{text}, once")
            with suppress(OutputExistsError):  # another process was quicker
                make(path)
        return path


def _fingerprint(folder: Path) -> str:
    """12 hex digits that change when a file in the folder, or this program, does."""
    parts = [__version__]
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue  # notes of git or of a hub's client
        status = path.stat()
        parts.append(f"{path.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}")
    return _digest(*parts)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
