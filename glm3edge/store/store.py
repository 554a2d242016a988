"""Model names to GGUF files: a file, a checkpoint folder, a repository, the built-in default.

Checkpoints are converted once, and repositories pulled once.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from glm3edge.errors import ConfigError
from glm3edge.store.adapters import AdapterFile, PrefixFile, find_adapters, find_prefixes
from glm3edge.store.built_in import DEFAULT_NAME, DEFAULT_QUANT_TYPE, built_in_checkpoint
from glm3edge.store.cache import CachedModel, ConvertedModels, Origin, pulled_model
from glm3edge.store.conversion import Announce, CachedConverter
from glm3edge.store.hub.clients import client_for
from glm3edge.store.hub.listing import Listings
from glm3edge.store.hub.names import HubName, did_you_mean, parse_name
from glm3edge.store.hub.pull import Pulled, find_pulled, known_listings, pull
from glm3edge_convert.checkpoint.snapshots import checkpoint_folder
from glm3edge_convert.conversion import Kind, kind_of
from glm3edge_convert.progress import Step
from glm3edge_convert.quantize.recipe import DEFAULT_TYPE

ENCODER_TYPE = "f16"
"""Type that encoders are converted to."""

# By the kind that is wanted, then the one that was found.
_WRONG_KINDS = {
    (Kind.CHAT, Kind.EMBEDDING): (
        "{name} is a model for embeddings, which cannot chat: serve it beside one that can, "
        "glm3edge serve MODEL --embedding-model {name}"
    ),
    (Kind.CHAT, Kind.RERANK): (
        "{name} is a reranker, which cannot chat: serve it beside one that can, "
        "glm3edge serve MODEL --rerank-model {name}"
    ),
    (Kind.EMBEDDING, Kind.CHAT): (
        "--embedding-model {name}: that is not an encoder (BERT, XLM-RoBERTa); leave the option "
        "out, and the chat model makes the embeddings"
    ),
    (Kind.EMBEDDING, Kind.RERANK): (
        "--embedding-model {name}: that is a reranker; serve it with --rerank-model"
    ),
    (Kind.RERANK, Kind.CHAT): (
        "--rerank-model {name}: that is not an encoder (XLM-RoBERTa); give a reranker, such as "
        "BAAI/bge-reranker-v2-m3"
    ),
    (Kind.RERANK, Kind.EMBEDDING): (
        "--rerank-model {name}: that is a model for embeddings; serve it with --embedding-model"
    ),
}


class Store:
    """Finds models, and keeps what it converts in the cache folder.

    cache_dir/
        converted/NAME-TYPE-FINGERPRINT.gguf       converted checkpoints
        converted/NAME-TYPE-FINGERPRINT.gguf.json  their sidecars, see ``cache``
        converted/NAME-lora-TYPE-FINGERPRINT.gguf  converted LoRA adapters
        converted/NAME-prefix-FINGERPRINT.gguf     converted P-Tuning v2 prefixes
        pulled/HUB--OWNER--NAME--REVISION.json     see ``hub.listing``

    Files of repositories are in the cache folders of their hubs.
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        quant_type: str | None = None,
        progress: Callable[[Step], None] | None = None,
        announce: Announce | None = None,
    ) -> None:
        """Use ``cache_dir``.

        Args:
            cache_dir: the cache folder; it is made once something is converted or pulled.
            quant_type: type that checkpoints are converted to; None is ``DEFAULT_TYPE``, and q8_0
                for the built-in model.
            progress: called during downloads and conversions.
            announce: called once before each of them.
        """
        self._quant_type = quant_type
        self._progress = progress
        self._announce = announce
        self._converted_models = ConvertedModels(cache_dir)
        self._converter = CachedConverter(
            self._converted_models, progress=progress, announce=announce
        )
        self._listings = Listings(cache_dir / "pulled")

    def find(self, name: str | None) -> Path:
        """The GGUF file for ``name``: a file, folder or repository, None for the default.

        What is on the disk wins over a repository of that name; a repository that was pulled and
        converted before needs no network.

        Raises:
            ConfigError: there is no such file or folder, and it is no repository's name; or it
                holds an encoder.
            HubError: the repository cannot be pulled.
            ConvertError: the checkpoint could not be converted.
        """
        if name is None:
            quant_type = self._quant_type or DEFAULT_QUANT_TYPE
            origin = Origin("built-in", DEFAULT_NAME)
            return self._converter.convert_checkpoint(built_in_checkpoint(), quant_type, origin)
        check = partial(_check_kind, name, Kind.CHAT)
        return self._find(name, self._quant_type, DEFAULT_TYPE, check)

    def find_encoder(self, name: str | None, kind: Kind = Kind.EMBEDDING) -> Path | None:
        """The GGUF file for an encoder: as ``find()``, but None stays None and folders become f16.

        Raises:
            ConfigError: there is no such file or folder, and it is no repository's name; or it
                holds a model of another kind.
            HubError: the repository cannot be pulled.
            ConvertError: the checkpoint could not be converted.
        """
        if name is None:
            return None
        return self._find(name, None, ENCODER_TYPE, partial(_check_kind, name, kind))

    def find_adapters(self, specs: Sequence[str]) -> list[AdapterFile]:
        """Find LoRA adapters; see ``adapters.find_adapters()``."""
        return find_adapters(specs, self._converter)

    def find_prefixes(self, paths: Sequence[str]) -> list[PrefixFile]:
        """Find P-Tuning v2 prefixes; see ``adapters.find_prefixes()``."""
        return find_prefixes(paths, self._converter)

    def look_up(self, name: str) -> Path:
        """The file or folder for ``name``, without pulling or converting anything.

        A folder need not be complete.

        Raises:
            ConfigError: there is nothing of that name on the disk.
        """
        path = Path(name).expanduser()
        if path.exists():
            return checkpoint_folder(path)
        hub_name = parse_name(name)
        for copy in hub_name.copies if hub_name else ():
            hub = client_for(copy)
            for listing in known_listings(hub, copy, self._listings):
                if (folder := hub.folder(listing)).joinpath("config.json").is_file():
                    return folder
            if pulled := find_pulled(hub, copy, self._listings):
                return pulled.path
        raise ConfigError(
            f"there is no file or folder {name}, and no model of that name was pulled"
            f"{did_you_mean(name)}"
        )

    def find_vocabulary(self, name: str | None) -> Path:
        """The GGUF file or checkpoint folder for a model's vocabulary, None for the built-in one.

        Nothing is pulled, and a folder needs no weights.

        Raises:
            ConfigError: there is nothing of that name on the disk.
        """
        return built_in_checkpoint() if name is None else self.look_up(name)

    def find_checkpoint(self, name: str) -> Path:
        """The checkpoint folder for ``name``, which a repository is pulled for.

        Raises:
            ConfigError: the repository has GGUF files only, or the name is mistyped.
            HubError: the repository cannot be pulled.
            ConvertError: the checkpoint cannot be converted.
        """
        path, hub_name = Path(name).expanduser(), parse_name(name)
        if path.exists() or hub_name is None:
            if not path.exists() and (hint := did_you_mean(name)):
                raise ConfigError(f"there is neither a folder nor a repository {name}{hint}")
            return checkpoint_folder(path)
        pulled = self._find_pulled(hub_name, None) or self._pull(hub_name, None, None)
        if pulled.is_gguf:
            raise ConfigError(f"{name} is a GGUF file: serve it as it is, glm3edge serve {name}")
        return pulled.path

    def pull(self, name: HubName, *, keep: bool = False) -> Pulled:
        """Get a repository's model at the commit it has now, and convert it if its name has a type.

        What the hub's cache has by a repository's other name is not pulled again. Weights that are
        converted are only downloaded to that cache if they are to be kept.

        Raises:
            HubError: it cannot be pulled.
            ConvertError: the checkpoint cannot be converted.
        """
        there = self._find_pulled(name, self._quant_type)
        if there is not None and there.listing.name.hub == name.hub:
            name = replace(name, repo=there.listing.name.repo)
        hub, wanted = client_for(name), name.type_choice or self._quant_type
        if wanted is not None:
            self._converter.make_folder()
        pulled = pull(
            hub,
            name,
            self._listings,
            quant_type=self._quant_type,
            report=self._progress,
            with_weights=keep or wanted is None,
        )
        if wanted is None or pulled.is_gguf:
            return pulled
        return replace(pulled, converted=self._converter.convert_pulled(pulled, wanted, hub))

    def models(self) -> list[CachedModel]:
        """Models in the cache: first the converted ones, then the GGUF files that were pulled."""
        pulled = [
            pulled_model(path, listing)
            for listing in self._listings
            for path in (client_for(listing.name).folder(listing) / file for file in listing.files)
            if path.suffix.lower() == ".gguf" and path.is_file()
        ]
        return [*self._converted_models, *pulled]

    def remove(self, model: CachedModel) -> None:
        """Remove a converted file."""
        self._converted_models.remove(model)

    def remove_repository(self, name: HubName) -> int:
        """Remove a repository from its hub's cache; returns the number of bytes freed."""
        num_bytes = client_for(name).remove(name)
        for listing in self._listings:
            if (listing.name.hub, listing.name.repo) == (name.hub, name.repo):
                self._listings.remove(listing.name)
        return num_bytes

    def _find(
        self,
        name: str,
        quant_type: str | None,
        default_type: str,
        check: Callable[[Path], None],
    ) -> Path:
        path = Path(name).expanduser()
        if path.is_dir():
            path = checkpoint_folder(path)
            check(path)
            origin = Origin("folder", str(path.resolve()))
            return self._converter.convert_checkpoint(path, quant_type or default_type, origin)
        if path.is_file():
            return path
        hub_name = parse_name(name)
        if hub_name is None:
            raise ConfigError(
                f"there is no file or folder {name}, and no repository has that name"
                f"{did_you_mean(name)}: give a GGUF file, a checkpoint folder or owner/name"
            )
        return self._find_in_hub(hub_name, quant_type, default_type, check)

    def _find_in_hub(
        self,
        name: HubName,
        quant_type: str | None,
        default_type: str,
        check: Callable[[Path], None],
    ) -> Path:
        wanted = name.type_choice or quant_type or default_type
        for copy in name.copies:
            if path := self._converter.find(copy, wanted):
                return path
        pulled = self._find_pulled(name, quant_type)
        if pulled is None:
            # An earlier version's file serves as well where the checkpoint is gone.
            for copy in name.copies:
                if path := self._converter.find(copy, wanted, any_version=True):
                    return path
            pulled = self._pull(name, quant_type, check, with_weights=False)
        if pulled.is_gguf:
            return pulled.path
        check(pulled.path)
        return self._converter.convert_pulled(pulled, wanted, client_for(pulled.listing.name))

    def _find_pulled(self, name: HubName, quant_type: str | None) -> Pulled | None:
        """The model in the cache of a hub, by any of its names."""
        for copy in name.copies:
            hub = client_for(copy)
            if pulled := find_pulled(hub, copy, self._listings, quant_type=quant_type):
                return pulled
        return None

    def _pull(
        self,
        name: HubName,
        quant_type: str | None,
        check: Callable[[Path], None] | None,
        *,
        with_weights: bool = True,
    ) -> Pulled:
        self._converter.make_folder()
        if self._announce is not None:
            self._announce("pull", f"{name}, once; an interrupted download resumes")
        return pull(
            client_for(name),
            name,
            self._listings,
            quant_type=quant_type,
            report=self._progress,
            check=check,
            with_weights=with_weights,
        )


def _check_kind(name: str, wanted: Kind, folder: Path) -> None:
    found = kind_of(folder)
    if found is not wanted:
        raise ConfigError(_WRONG_KINDS[wanted, found].format(name=name))
