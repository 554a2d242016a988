"""Adapters by their files or folders: LoRA adapters and P-Tuning v2 prefixes.

Requests call an adapter by the name of its file, without ``.gguf``, or of its folder.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glm3edge.errors import ConfigError
from glm3edge.store.conversion import CachedConverter
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.plan import model_name


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """GGUF file of a LoRA adapter, with its name and the factor of its change of the weights."""

    name: str
    path: Path
    scale: float


@dataclass(frozen=True, slots=True)
class PrefixFile:
    """GGUF file of a P-Tuning v2 prefix, with its name."""

    name: str
    path: Path


def find_adapters(specs: Sequence[str], converter: CachedConverter) -> list[AdapterFile]:
    """GGUF adapters for ``FILE_OR_FOLDER[:SCALE]``; folders are converted.

    Raises:
        ConfigError: there is no such file or folder, or two have one name.
        ConvertError: a folder could not be converted.
    """
    found = []
    for spec in specs:
        given = ScaledPath.parse(spec)
        name = _name_of(given.path, "a LoRA adapter")
        path = converter.convert_lora(given.path) if given.path.is_dir() else given.path
        found.append(AdapterFile(name, path, given.scale))
    check_adapter_names(file.name for file in found)
    return found


def find_prefixes(paths: Sequence[str], converter: CachedConverter) -> list[PrefixFile]:
    """GGUF files of P-Tuning v2 prefixes, which are files or folders; folders are converted.

    Raises:
        ConfigError: there is no such file or folder, or two have one name.
        ConvertError: a folder could not be converted.
    """
    found = []
    for given in paths:
        path = Path(given).expanduser()
        name = _name_of(path, "a P-Tuning v2 prefix")
        found.append(PrefixFile(name, converter.convert_prefix(path) if path.is_dir() else path))
    check_adapter_names(file.name for file in found)
    return found


def _name_of(path: Path, wanted: str) -> str:
    """Name of an adapter's file or folder.

    Raises:
        ConfigError: there is nothing.
    """
    if path.is_dir():
        return model_name(path)
    if path.is_file():
        return path.stem
    raise ConfigError(f"there is no file or folder {path}: give {wanted}")


def check_adapter_names(names: Iterable[str], *, models: Collection[str] = ()) -> None:
    """Refuse adapters that requests could not name.

    Raises:
        ConfigError: two adapters have one name, or an adapter has that of one of ``models``.
    """
    for name, count in Counter(names).items():
        if name in models:
            raise ConfigError(f"an adapter and a model are both called {name}: rename the adapter")
        if count > 1:
            raise ConfigError(f"two adapters are called {name}: rename one of them")
