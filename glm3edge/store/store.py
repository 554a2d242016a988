"""Model names to GGUF files: a file, a checkpoint folder, a repository, the built-in default.

Checkpoints are converted once, and repositories pulled once.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from glm3edge import __version__
from glm3edge.errors import ConfigError
from glm3edge.store.cache import CachedModel, ConvertedModels, Origin, pulled_model
from glm3edge.store.hub.listing import Listings
from glm3edge.store.hub.names import HubName, parse_name
from glm3edge_convert.adapters.lora import DEFAULT_ADAPTER_TYPE, convert_lora
from glm3edge_convert.adapters.prefix import convert_prefix
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.convert import convert, is_encoder
from glm3edge_convert.errors import OutputExistsError
from glm3edge_convert.plan import model_name
from glm3edge_convert.progress import Step
from glm3edge_convert.quantize.recipe import DEFAULT_TYPE

if TYPE_CHECKING:
    from glm3edge.store.hub.pull import Hub, Pulled

DEFAULT_NAME = "glm3-tiny"
"""The built-in model: ChatGLM3 in small, trained to chat a little and to call tools."""

ENCODER_TYPE = "f16"
"""What encoders are converted to."""

_TYPE_OF_BUILT_IN = "q8_0"  # seven million parameters have none to spare, and take 8 MB

_PACKAGE = Path(__file__).resolve().parents[1]
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
        converted/NAME-TYPE-FINGERPRINT.gguf       what checkpoints were converted to
        converted/NAME-TYPE-FINGERPRINT.gguf.json  see ``cache_index``
        converted/NAME-lora-TYPE-FINGERPRINT.gguf  what adapter folders were converted to
        converted/NAME-prefix-FINGERPRINT.gguf     and folders of P-Tuning v2
        pulled/HUB--OWNER--NAME--REVISION.json     see ``hub.listing``

    Files of repositories are in the cache folders of their hubs.
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        type: str | None = None,  # noqa: A002 - the option's name
        progress: Callable[[Step], None] | None = None,
        say: Callable[[str, str], None] | None = None,
    ) -> None:
        """Use ``cache_dir``; convert to quantization ``type``, telling ``progress``.

        ``say`` is told once what is about to be pulled or converted: a word, and a line on it.
        Without a ``type``, a checkpoint becomes ``DEFAULT_TYPE`` and the built-in model q8_0.
        """
        self._type = type
        self._progress = progress or _ignore
        self._say = say or _say_nothing
        self._converted_models = ConvertedModels(cache_dir)
        self._listings = Listings(cache_dir / "pulled")

    def find(self, name: str | None) -> Path:
        """The GGUF file for ``name``: a file, folder or repository, None for the default.

        What is on the disk wins over a repository of that name; a repository that was pulled and
        converted before needs no network.

        Raises:
            ConfigError: there is no such file or folder, and it is no repository's name; or it
                holds an encoder.
            HubError: the repository cannot be had.
            ConvertError: the checkpoint could not be converted.
        """
        if name is None:
            checkpoint = _default_checkpoint()
            origin = Origin("built-in", DEFAULT_NAME)
            return self._converted(checkpoint, self._type or _TYPE_OF_BUILT_IN, origin)
        return self._find(name, self._type, DEFAULT_TYPE, partial(_check_chats, name))

    def look_up(self, name: str) -> Path:
        """What ``name`` stands for, as it is: a GGUF file, or a folder that need not be whole.

        Nothing is pulled or converted.

        Raises:
            ConfigError: there is nothing of that name on the disk.
        """
        path = Path(name).expanduser()
        if path.exists():
            return path
        hub_name = parse_name(name)
        listing = hub_name and self._listings.get(hub_name)
        if hub_name and listing:
            hub = _hub(hub_name)
            if (folder := hub.folder(listing)).joinpath("config.json").is_file():
                return folder
            from glm3edge.store.hub.pull import find_pulled  # noqa: PLC0415 (see _hub)

            if pulled := find_pulled(hub, hub_name, self._listings):
                return pulled.path
        raise ConfigError(f"there is no file or folder {name}, and nothing was pulled by that name")

    def find_encoder(self, name: str | None) -> Path | None:
        """The GGUF file for an encoder: as ``find()``, but None stays None and folders become f16.

        Raises:
            ConfigError: there is no such file or folder, and it is no repository's name; or it
                holds no encoder.
            HubError: the repository cannot be had.
            ConvertError: the checkpoint could not be converted.
        """
        if name is None:
            return None
        return self._find(name, None, ENCODER_TYPE, partial(_check_embeds, name))

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
        check_adapter_names(file.name for file in found)
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
        check_adapter_names(file.name for file in found)
        return found

    def _converted_adapter(self, folder: Path) -> Path:
        return self._made(
            folder,
            f"lora-{DEFAULT_ADAPTER_TYPE}",
            lambda source, path: convert_lora(source, path, type=DEFAULT_ADAPTER_TYPE),
        )

    def _converted_prefix(self, folder: Path) -> Path:
        return self._made(folder, "prefix", convert_prefix)

    def _made(self, folder: Path, kind: str, make: Callable[[Path, Path], object]) -> Path:
        """The file that ``make`` makes of an adapter's folder, made now if it is not there yet."""
        folder = folder.resolve()
        name = f"{folder.name}-{kind}-{_fingerprint(folder)}.gguf"
        path = self._converted_models.folder / name
        if not path.is_file():
            self._make_folder()
            self._say("convert", f"{folder}, once")
            with suppress(OutputExistsError):  # another process was quicker
                make(folder, path)
        return path

    def pull(self, name: HubName) -> "Pulled":
        """Get a repository's model at the commit it has now, and convert it if its name has a type.

        Raises:
            HubError: it cannot be had.
            ConvertError: the checkpoint cannot be converted.
        """
        from glm3edge.store.hub.pull import pull  # noqa: PLC0415 (see _hub)

        pulled = pull(_hub(name), name, self._listings, type=self._type, report=self._progress)
        wanted = name.type_choice or self._type
        if wanted is not None and not pulled.is_gguf:
            self._convert_pulled(pulled, wanted)
        return pulled

    def models(self) -> list[CachedModel]:
        """What is in the cache: what was converted, then the GGUF files that were pulled."""
        pulled = [
            pulled_model(path, listing)
            for listing in self._listings
            for path in (_hub(listing.name).folder(listing) / file for file in listing.files)
            if path.suffix.lower() == ".gguf" and path.is_file()
        ]
        return [*self._converted_models, *pulled]

    def remove(self, model: CachedModel) -> None:
        """Remove a converted file."""
        self._converted_models.remove(model)

    def remove_repository(self, name: HubName) -> int:
        """Remove a repository from its hub's cache; the number of bytes that this frees.

        Raises:
            ConfigError: that is left to its hub's client.
        """
        if name.hub != "huggingface":
            raise ConfigError(f"{name.repository} is in ModelScope's cache: remove it there")
        from glm3edge.store.hub.huggingface import HuggingFace  # noqa: PLC0415 (see _hub)

        num_bytes = HuggingFace().remove(name)
        for listing in self._listings:
            if (listing.name.hub, listing.name.repo) == (name.hub, name.repo):
                self._listings.remove(listing.name)
        return num_bytes

    def _find(
        self,
        name: str,
        type: str | None,  # noqa: A002
        default_type: str,
        check: Callable[[Path], None],
    ) -> Path:
        path = Path(name).expanduser()
        if path.is_dir():
            check(path)
            origin = Origin("folder", str(path.resolve()))
            return self._converted(path, type or default_type, origin)
        if path.is_file():
            return path
        hub_name = parse_name(name)
        if hub_name is None:
            raise ConfigError(
                f"there is no file or folder {name}, and no repository has such a name: "
                "give a GGUF file, a checkpoint folder or owner/name"
            )
        return self._find_in_hub(hub_name, type, default_type, check)

    def _find_in_hub(
        self,
        name: HubName,
        type: str | None,  # noqa: A002
        default_type: str,
        check: Callable[[Path], None],
    ) -> Path:
        wanted = name.type_choice or type or default_type
        path = self._made_of(name, wanted, version=__version__)
        if path is None:
            # What takes long to import is imported once there is something to wait for.
            from glm3edge.store.hub.pull import find_pulled, pull  # noqa: PLC0415

            hub = _hub(name)
            pulled = find_pulled(hub, name, self._listings, type=type)
            # What an earlier version made does too, where the checkpoint is gone.
            path = None if pulled else self._made_of(name, wanted)
            if path is None:
                if pulled is None:
                    self._make_folder()
                    self._say("pull", f"{name}, once; a download that was cut off goes on")
                    pulled = pull(
                        hub, name, self._listings, type=type, report=self._progress, check=check
                    )
                if pulled.is_gguf:
                    return pulled.path
                check(pulled.path)
                return self._convert_pulled(pulled, wanted)
        self._converted_models.note_use(path)
        return path

    def _make_folder(self) -> None:
        """Have the folder of converted models.

        Raises:
            ConfigError: it cannot be made, or not written to.
        """
        folder = self._converted_models.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                pass
        except OSError as exc:
            raise ConfigError(
                f"the cache folder {folder} cannot be written: {exc.strerror or exc}; give another "
                "with --cache-dir or GLM3EDGE_CACHE_DIR"
            ) from exc

    def _made_of(
        self,
        name: HubName,
        type: str,  # noqa: A002
        *,
        version: str | None = None,
    ) -> Path | None:
        if name.file_choice:
            return None
        return self._converted_models.find(name, type, version=version)

    def _convert_pulled(self, pulled: "Pulled", type: str) -> Path:  # noqa: A002
        origin = Origin.of(pulled.listing)
        fingerprint = _digest(__version__, pulled.listing.commit)
        name = pulled.listing.name.repo.rpartition("/")[2]
        return self._converted(pulled.path, type, origin, name=name, fingerprint=fingerprint)

    def _converted(
        self,
        checkpoint: Path,
        type: str,  # noqa: A002
        origin: Origin,
        *,
        name: str | None = None,
        fingerprint: str | None = None,
    ) -> Path:
        checkpoint, type = checkpoint.resolve(), type.lower()  # noqa: A001
        file_name = (
            f"{name or checkpoint.name}-{type}-{fingerprint or _fingerprint(checkpoint)}.gguf"
        )
        path = self._converted_models.folder / file_name
        if not path.is_file():
            self._make_folder()
            self._say("convert", f"{checkpoint} to {type}, once")
            with suppress(OutputExistsError):  # another process was quicker
                convert(checkpoint, path, type=type, progress=self._progress)
        self._converted_models.note_use(path, origin)
        return path


def _hub(name: HubName) -> "Hub":
    """The client of a name's hub, imported once it is needed: it takes long."""
    if name.hub == "modelscope":
        from glm3edge.store.hub.modelscope import ModelScope  # noqa: PLC0415

        return ModelScope()
    from glm3edge.store.hub.huggingface import HuggingFace  # noqa: PLC0415

    return HuggingFace()


def _check_chats(name: str, folder: Path) -> None:
    if is_encoder(folder):
        raise ConfigError(
            f"{name} is a model for embeddings, which cannot chat: serve it beside one that can, "
            f"glm3edge serve MODEL --embedding-model {name}"
        )


def _check_embeds(name: str, folder: Path) -> None:
    if not is_encoder(folder):
        raise ConfigError(
            f"--embedding-model {name}: that is no encoder (BERT, XLM-RoBERTa); leave the option "
            "out, and the chat model makes the embeddings"
        )


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
    parts = [__version__]
    for path in sorted(path for path in checkpoint.rglob("*") if path.is_file()):
        status = path.stat()
        parts.append(f"{path.relative_to(checkpoint)}\0{status.st_size}\0{status.st_mtime_ns}")
    return _digest(*parts)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _ignore(progress: Step) -> None:
    """No one watches."""


def _say_nothing(label: str, text: str) -> None:
    """No one listens."""
