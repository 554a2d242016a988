"""Index of the cache: converted files, and GGUF files that were pulled.

Beside ``converted/NAME.gguf`` is a sidecar, ``NAME.gguf.json``: what it was converted from, by
which version of this program, and when it was last used. That is not in the GGUF file because the
last changes at each start, and because equal checkpoints shall give equal files. A converted file
without a sidecar is listed with what its metadata says.
"""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast

from glm3edge import __version__
from glm3edge.errors import ModelFileError
from glm3edge.store.hub.listing import Listing, write_json
from glm3edge.store.hub.names import HubName, parse_name
from glm3edge.store.inspection import inspect
from glm3edge_convert.files import read_file

OriginKind = Literal["folder", "repository", "built-in"]


@dataclass(frozen=True)
class Origin:
    """Source of a model; ``place`` is a folder's path, or a name.

    ``commit`` is the repository's, None for the other kinds.
    """

    kind: OriginKind
    place: str
    commit: str | None = None

    @classmethod
    def of(cls, listing: Listing) -> "Origin":
        """The origin of what was pulled from a repository."""
        return cls("repository", listing.name.repository, listing.commit)

    @property
    def repository(self) -> HubName | None:
        """The repository's name, if it is one."""
        return parse_name(self.place) if self.kind == "repository" else None


@dataclass(frozen=True)
class CachedModel:
    """A GGUF file in the cache.

    Attributes:
        path: the file.
        is_converted: converted here; otherwise it was pulled, and is in the hub's own cache.
        num_bytes: size of the file.
        type: what it is quantized to, None if that is not known.
        context_length: tokens of context, None if that is not known.
        origin: its source, None if that is not known.
        last_used: seconds since 1970.
        version: version of the program that converted it, None if that is not known.
    """

    path: Path
    is_converted: bool
    num_bytes: int
    type: str | None
    context_length: int | None
    origin: Origin | None
    last_used: float
    version: str | None = None

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem

    def is_called(self, name: str) -> bool:
        """Whether it may be given by ``name``: its own, its file's, or one of its repository."""
        if name in {self.name, self.path.name, str(self.path)}:
            return True
        wanted, repository = parse_name(name), self.origin and self.origin.repository
        return (
            wanted is not None
            and repository in {copy.whole for copy in wanted.copies}
            and (wanted.type_choice or wanted.choice) in {None, self.type, self.path.name}
        )


class ConvertedModels:
    """Converted files, in ``cache_dir/converted``."""

    def __init__(self, cache_dir: Path) -> None:
        self.folder = cache_dir / "converted"

    def __iter__(self) -> Iterator[CachedModel]:
        for path in sorted(self.folder.glob("*.gguf")):
            with suppress(FileNotFoundError):  # another process removed it meanwhile
                yield _converted_model(path)

    def find(
        self,
        repository: HubName,
        quant_type: str,
        *,
        version: str | None = None,
    ) -> Path | None:
        """File converted from a repository to ``quant_type``; of several the one used last.

        With a ``version``, only files of that version of this program count.
        """
        fitting = [
            model
            for model in self
            if model.origin is not None
            and model.origin.repository == repository.whole
            and model.type == quant_type.lower()
            and version in {None, model.version}
        ]
        return max(fitting, key=lambda model: model.last_used).path if fitting else None

    def note_use(self, path: Path, origin: Origin | None = None) -> None:
        """Record in the sidecar that a file is used now, and its origin if that is given.

        A sidecar that cannot be written is no error: the cache works without.
        """
        with suppress(OSError, ModelFileError):
            model = _converted_model(path)
            value = {
                "origin": asdict(found) if (found := origin or model.origin) else None,
                "type": model.type,
                "context_length": model.context_length,
                "version": __version__ if origin else model.version,
                "last_used": time.time(),
            }
            write_json(_sidecar(path), value)

    def remove(self, model: CachedModel) -> None:
        """Remove a file and its sidecar."""
        model.path.unlink(missing_ok=True)
        _sidecar(model.path).unlink(missing_ok=True)


def pulled_model(path: Path, listing: Listing) -> CachedModel:
    """Cache entry of a repository's GGUF file."""
    status = path.stat()
    type_name, context_length = _type_and_context(path)
    return CachedModel(
        path=path,
        is_converted=False,
        num_bytes=status.st_size,
        type=type_name,
        context_length=context_length,
        origin=Origin.of(listing),
        last_used=max(status.st_atime, status.st_mtime),
    )


def _converted_model(path: Path) -> CachedModel:
    status = path.stat()
    model = _from_sidecar(path, status.st_size)
    if model is not None:
        return model
    type_name, context_length = _type_and_context(path)
    return CachedModel(
        path=path,
        is_converted=True,
        num_bytes=status.st_size,
        type=type_name,
        context_length=context_length,
        origin=None,
        last_used=max(status.st_atime, status.st_mtime),
    )


def _from_sidecar(path: Path, num_bytes: int) -> CachedModel | None:
    """Entry by the sidecar; None if there is none, or it is damaged."""
    try:
        value = json.loads(read_file(_sidecar(path)))
    except (OSError, ValueError, RecursionError):
        return None
    match value:
        case {
            "origin": origin,
            "type": str() | None as type_name,
            "context_length": int() | None as context_length,
            "version": str() | None as version,
            "last_used": int() | float() as last_used,
        }:
            return CachedModel(
                path=path,
                is_converted=True,
                num_bytes=num_bytes,
                type=type_name,
                context_length=context_length,
                origin=_origin(origin),
                last_used=last_used,
                version=version,
            )
    return None


def _origin(value: object) -> Origin | None:
    match value:
        case {
            "kind": "folder" | "repository" | "built-in" as kind,
            "place": str(place),
            "commit": str() | None as commit,
        }:
            return Origin(cast("OriginKind", kind), place, commit)
    return None


def _type_and_context(path: Path) -> tuple[str | None, int | None]:
    """Type and context length by the file's metadata; None where that lacks them."""
    try:
        inspection = inspect(path)
    except ModelFileError:
        return None, None
    return inspection.type, inspection.context_length


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
