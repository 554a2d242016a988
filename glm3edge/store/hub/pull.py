"""Downloads of repositories: the files a name needs, small ones first so that failures come early.

A name that was pulled before needs no network: the listing that was kept then says what is needed,
and the disk whether it is there. Nor does one whose files another program left in the hub's cache.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glm3edge.store.hub.clients import Hub
from glm3edge.store.hub.download import DownloadProgress
from glm3edge.store.hub.errors import HubError, MissingFileError
from glm3edge.store.hub.listing import Listing, Listings
from glm3edge.store.hub.names import HubName
from glm3edge.store.hub.selection import VOCABULARY_FILES, Selection, select
from glm3edge_convert.checkpoint.weights import (
    INDEX_SUFFIX,
    open_tensors,
    shard_names,
    weights_entry,
)
from glm3edge_convert.conversion import check_before_weights
from glm3edge_convert.errors import ConvertError
from glm3edge_convert.quantize.recipe import get_recipe


@dataclass(frozen=True)
class Pulled:
    """A pulled model: a GGUF file or a checkpoint folder at ``path``.

    Attributes:
        path: the file or the folder.
        is_gguf: whether it is a file.
        listing: the repository at the commit that was pulled.
        files: its files in the repository.
        weights: those of a checkpoint's weights, without their index.
        missing: those of the weights that were not downloaded.
        converted: what a checkpoint was converted to.
    """

    path: Path
    is_gguf: bool
    listing: Listing
    files: tuple[str, ...]
    weights: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    converted: Path | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(self.listing.files[file].num_bytes for file in self.files)


def pull(
    hub: Hub,
    name: HubName,
    listings: Listings,
    *,
    quant_type: str | None = None,
    report: Callable[[DownloadProgress], None] | None = None,
    check: Callable[[Path], None] | None = None,
    with_weights: bool = True,
) -> Pulled:
    """Download what is missing of ``name``, at the commit that its revision has now.

    Args:
        hub: the client of its hub.
        name: the repository, with the file or type to take of it.
        listings: where the listing is kept for the next start.
        quant_type: the type that is wanted, if the name has none.
        report: called as the download goes on.
        check: called with a checkpoint's folder before the weights are downloaded; raises for one
            that is not wanted.
        with_weights: whether a checkpoint's weights are downloaded too.

    Raises:
        HubError: it cannot be pulled.
        ConvertError: it is a checkpoint that cannot be converted; raised before the weights are
            downloaded.
    """
    listing = hub.listing(name)
    selection = select(name, listing.files, quant_type)
    files = selection.files
    if selection.kind == "checkpoint":
        _pull_settings(hub, listing, files, name.type_choice or quant_type, check)
        files = _with_shards(hub.folder(listing), listing, files)
    pulled = _pulled(hub.folder(listing), selection, listing, files)
    if with_weights or pulled.is_gguf:
        hub.fetch(listing, files, report)
    else:
        pulled = replace(pulled, missing=_missing(hub, pulled))
    listings.save(listing)
    return pulled


def find_pulled(
    hub: Hub,
    name: HubName,
    listings: Listings,
    *,
    quant_type: str | None = None,
) -> Pulled | None:
    """A model that is in the hub's cache, with all its files; needs no network."""
    for listing in known_listings(hub, name, listings):
        try:
            found = _find_in(hub.folder(listing), name, listing, quant_type)
        except (HubError, ConvertError):  # the repository may have more by now
            continue
        if found is not None:
            return found
    return None


def known_listings(hub: Hub, name: HubName, listings: Listings) -> Iterator[Listing]:
    """Listings of a repository at a revision: the one that was kept, those of other programs."""
    kept = listings.get(name)
    if kept is not None:
        yield kept
    for listing in hub.found(name):
        if kept is None or hub.folder(listing) != hub.folder(kept):
            yield listing


def _find_in(
    folder: Path, name: HubName, listing: Listing, quant_type: str | None
) -> Pulled | None:
    selection = select(name, listing.files, quant_type)
    files = selection.files
    if not _are_there(listing, folder, files):
        return None
    if selection.kind == "checkpoint":
        files = _with_shards(folder, listing, files)
        if listing.is_found:  # it may be a download that goes on, or was given up
            if not VOCABULARY_FILES & set(files):
                return None
            open_tensors(folder)
    return (
        _pulled(folder, selection, listing, files) if _are_there(listing, folder, files) else None
    )


def _pull_settings(
    hub: Hub,
    listing: Listing,
    files: tuple[str, ...],
    quant_type: str | None,
    check: Callable[[Path], None] | None,
) -> None:
    """Download all of a checkpoint but its weights, and check that it can be converted."""
    if quant_type is not None:
        get_recipe(quant_type)
    entry = weights_entry(listing.files) or ""
    small = [file for file in files if file != entry or entry.endswith(INDEX_SUFFIX)]
    hub.fetch(listing, small, None)
    folder = hub.folder(listing)
    if check is not None:
        check(folder)
    check_before_weights(folder, entry, quant_type)


def _missing(hub: Hub, pulled: Pulled) -> tuple[str, ...]:
    """Files of the weights that are not in the hub's cache; the others are linked to the commit."""
    there = [file for file in pulled.weights if hub.has(pulled.listing, file)]
    elsewhere = [file for file in there if not (pulled.path / file).is_file()]
    hub.fetch(pulled.listing, elsewhere, None)
    return tuple(file for file in pulled.weights if file not in there)


def _with_shards(folder: Path, listing: Listing, files: tuple[str, ...]) -> tuple[str, ...]:
    """``files`` with the shards that the weights' index among them names.

    Raises:
        MissingFileError: the repository lacks a shard.
        ConvertError: the index is damaged.
    """
    entry = weights_entry(files)
    if entry is None or not entry.endswith(INDEX_SUFFIX):
        return files
    shards = shard_names(folder / entry)
    for shard in shards:
        if shard not in listing.files:
            raise MissingFileError(str(listing.name), shard)
    return (*files, *shards)


def _are_there(listing: Listing, folder: Path, files: Sequence[str]) -> bool:
    return all(
        (folder / file).is_file()
        and (folder / file).stat().st_size == listing.files[file].num_bytes
        for file in files
    )


def _pulled(folder: Path, selection: Selection, listing: Listing, files: tuple[str, ...]) -> Pulled:
    if selection.kind == "gguf":
        return Pulled(folder / files[0], True, listing, files)
    shards = tuple(file for file in files if file not in selection.files)
    return Pulled(folder, False, listing, files, shards or (weights_entry(files) or "",))
