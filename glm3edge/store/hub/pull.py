"""Downloads of repositories: the files a name needs, small ones first so that failures come early.

A name that was pulled before needs no network: the listing that was kept then says what is needed,
and the disk whether it is there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glm3edge.store.hub.clients import Hub
from glm3edge.store.hub.download import DownloadProgress
from glm3edge.store.hub.errors import HubError, MissingFileError
from glm3edge.store.hub.listing import Listing, Listings
from glm3edge.store.hub.names import HubName
from glm3edge.store.hub.selection import Selection, select
from glm3edge_convert.checkpoint.weights import INDEX_SUFFIX, shard_names, weights_entry
from glm3edge_convert.conversion import check_before_weights
from glm3edge_convert.quantize.recipe import get_recipe


@dataclass(frozen=True)
class Pulled:
    """A pulled model: a GGUF file or a checkpoint folder at ``path``.

    ``files`` are its files in the repository.
    """

    path: Path
    is_gguf: bool
    listing: Listing
    files: tuple[str, ...]

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

    Raises:
        HubError: it cannot be pulled.
        ConvertError: it is a checkpoint that cannot be converted; raised before the weights are
            downloaded.
    """
    listing = hub.listing(name)
    selection = select(name, listing.files, quant_type)
    if selection.kind == "checkpoint":
        listing, files = _pull_checkpoint(
            hub,
            listing,
            selection.files,
            name.type_choice or quant_type,
            report=report,
            check=check,
        )
    else:
        files = selection.files
        listing = hub.fetch(listing, files, report)
    listings.save(listing)
    return _pulled(hub.folder(listing), selection, listing, files)


def find_pulled(
    hub: Hub,
    name: HubName,
    listings: Listings,
    *,
    quant_type: str | None = None,
) -> Pulled | None:
    """The result of an earlier ``pull()``, if all its files are there; needs no network."""
    listing = listings.get(name)
    if listing is None:
        return None
    try:
        selection = select(name, listing.files, quant_type)
    except HubError:  # the repository may have more by now
        return None
    folder, files = hub.folder(listing), selection.files
    if not _are_there(listing, folder, files):
        return None
    if selection.kind == "checkpoint":
        files = _with_shards(folder, listing, files)
    return (
        _pulled(folder, selection, listing, files) if _are_there(listing, folder, files) else None
    )


def _pull_checkpoint(
    hub: Hub,
    listing: Listing,
    files: tuple[str, ...],
    quant_type: str | None,
    *,
    report: Callable[[DownloadProgress], None] | None,
    check: Callable[[Path], None] | None,
) -> tuple[Listing, tuple[str, ...]]:
    if quant_type is not None:
        get_recipe(quant_type)
    entry = weights_entry(listing.files) or ""
    small = [file for file in files if file != entry or entry.endswith(INDEX_SUFFIX)]
    listing = hub.fetch(listing, small, None)
    folder = hub.folder(listing)
    if check is not None:
        check(folder)
    check_before_weights(folder, entry, quant_type)
    files = _with_shards(folder, listing, files)
    return hub.fetch(listing, files, report), files


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
    is_gguf = selection.kind == "gguf"
    return Pulled(folder / files[0] if is_gguf else folder, is_gguf, listing, files)
