"""From a name to files on the disk: small ones first, so that what cannot work ends there.

A start with a name that was pulled before asks no one: what is needed is told by the listing kept
then, and whether it is there by the disk.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from glm3edge.store.hub.download import DownloadProgress
from glm3edge.store.hub.errors import HubError, MissingFileError
from glm3edge.store.hub.listing import Listing, Listings
from glm3edge.store.hub.names import HubName
from glm3edge.store.hub.selection import Selection, select
from glm3edge_convert.checkpoint.tensors import INDEX_SUFFIX, shard_names, weights_entry
from glm3edge_convert.convert import check_before_weights
from glm3edge_convert.quantize.recipe import get_recipe


class Hub(Protocol):
    """Where repositories are had from; see ``HuggingFace``."""

    def listing(self, name: HubName) -> Listing: ...
    def folder(self, listing: Listing) -> Path: ...
    def fetch(
        self,
        listing: Listing,
        paths: Sequence[str],
        report: Callable[[DownloadProgress], None],
    ) -> Listing: ...


@dataclass(frozen=True)
class Pulled:
    """What a name stands for: a GGUF file, or a checkpoint folder; at ``path``."""

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
    type: str | None = None,  # noqa: A002 - the option's name
    report: Callable[[DownloadProgress], None],
    check: Callable[[Path], None] | None = None,
) -> Pulled:
    """Get what is missing of ``name``, at the commit that its revision has now.

    ``type`` is what it is for, if the name does not tell. ``check`` is shown a checkpoint's folder
    before the weights are asked for, and raises for one that is not wanted.

    Raises:
        HubError: it cannot be had.
        ConvertError: it is a checkpoint that cannot be converted, which is known before the
            weights are here.
    """
    listing = hub.listing(name)
    selection = select(name, listing.files, type)
    if selection.kind == "checkpoint":
        type = name.type_choice or type  # noqa: A001
        listing, files = _pull_checkpoint(
            hub, listing, selection.files, type, report=report, check=check
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
    type: str | None = None,  # noqa: A002
) -> Pulled | None:
    """What ``pull()`` gave for ``name`` before, if all of it is still there. Asks no one."""
    listing = listings.get(name)
    if listing is None:
        return None
    try:
        selection = select(name, listing.files, type)
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
    type: str | None,  # noqa: A002
    *,
    report: Callable[[DownloadProgress], None],
    check: Callable[[Path], None] | None,
) -> tuple[Listing, tuple[str, ...]]:
    if type is not None:
        get_recipe(type)
    entry = weights_entry(listing.files) or ""
    small = [file for file in files if file != entry or entry.endswith(INDEX_SUFFIX)]
    listing = hub.fetch(listing, small, _ignore)
    folder = hub.folder(listing)
    if check is not None:
        check(folder)
    check_before_weights(folder, entry, type)
    files = _with_shards(folder, listing, files)
    return hub.fetch(listing, files, report), files


def _with_shards(folder: Path, listing: Listing, files: tuple[str, ...]) -> tuple[str, ...]:
    """``files`` and what the weights' index among them names.

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


def _ignore(progress: DownloadProgress) -> None:
    """Small files come at once."""
