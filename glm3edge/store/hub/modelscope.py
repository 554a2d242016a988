"""ModelScope client: wraps ModelScope's own package, which is not installed with this one."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from glm3edge.store.hub.download import DownloadProgress
from glm3edge.store.hub.errors import HubError
from glm3edge.store.hub.listing import Listing, RemoteFile, checked_listing
from glm3edge.store.hub.names import HubName
from glm3edge_convert.errors import MissingLibraryError


class ModelScope:
    """Client of ModelScope's hub, with its package's cache folder and progress bar."""

    def listing(self, name: HubName) -> Listing:
        """Files and commit of the repository, as the hub has them now.

        Raises:
            HubError: the hub does not list them.
            MissingLibraryError: the client is not installed.
        """
        client = _client(name)
        found = _called(name, lambda: client.HubApi().get_model_files(name.repo, name.revision))
        files = [
            RemoteFile(entry["Path"], entry["Size"] or 0)
            for entry in found
            if entry.get("Type") != "tree"
        ]
        # The client gives no commit, so a hash of names and sizes stands for the state.
        state = "\n".join(sorted(f"{file.path} {file.num_bytes}" for file in files))
        return checked_listing(name, hashlib.sha256(state.encode()).hexdigest(), files)

    def folder(self, listing: Listing) -> Path:
        """Folder of the files of ``listing``; one that does not exist if none were fetched."""
        return Path(listing.folder or "/nonexistent")

    def fetch(
        self,
        listing: Listing,
        paths: Sequence[str],
        report: Callable[[DownloadProgress], None] | None,
    ) -> Listing:
        """Download the files that are missing; the listing that is returned has their folder.

        Raises:
            HubError: they cannot be downloaded.
            MissingLibraryError: the client is not installed.
        """
        name, client = listing.name, _client(listing.name)
        folder = _called(
            name,
            lambda: client.snapshot_download(
                name.repo, revision=name.revision, allow_patterns=list(paths)
            ),
        )
        return replace(listing, folder=str(folder))


def _client(name: HubName) -> Any:
    try:
        import modelscope  # noqa: PLC0415  (optional)
    except ImportError as exc:
        raise MissingLibraryError(
            "modelscope", f"to pull {name}", "pip install modelscope"
        ) from exc
    return modelscope


def _called(name: HubName, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as exc:  # the client has some of its own, and those of what it is built on
        reason = (str(exc) or type(exc).__name__).splitlines()[0]
        raise HubError(
            f"ModelScope does not give {name}: {reason}; check name and network"
        ) from exc
