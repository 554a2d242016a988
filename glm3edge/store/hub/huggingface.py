"""Hugging Face client: repositories in the cache folder that all programs of the hub share.

``huggingface_hub`` makes the requests and lays out the cache; HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN
and HF_HOME are its variables. Files in LFS, which the weights are, are downloaded here (see
``transfer``): to ``blobs/<sha256>``, where the library looks for them.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from huggingface_hub import (
    HfApi,
    constants,
    hf_hub_download,
    hf_hub_url,
    scan_cache_dir,
)
from huggingface_hub.errors import CacheNotFound
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, not re-exported
    build_hf_headers,
    disable_progress_bars,
)
from huggingface_hub.utils import logging as hub_logging

from glm3edge import __version__
from glm3edge.store.hub.download import DownloadMeter, DownloadProgress
from glm3edge.store.hub.listing import Listing, RemoteFile, checked_listing, found_listing
from glm3edge.store.hub.names import HubName
from glm3edge.store.hub.transfer import Transfer, check_space
from glm3edge.store.hub.translation import translating
from glm3edge_convert.checkpoint.snapshots import find_snapshot

_LIBRARY = "glm3edge"


class HuggingFace:
    """Client of the hub at ``endpoint``, with a cache folder; the environment has the defaults."""

    def __init__(self, *, endpoint: str | None = None, cache_dir: Path | None = None) -> None:
        self._endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self._cache_dir = Path(cache_dir or constants.HF_HUB_CACHE)
        if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
            disable_progress_bars()
        hub_logging.set_verbosity(
            logging.ERROR
        )  # its warnings are about what either succeeds or becomes one of our errors

    def listing(self, name: HubName) -> Listing:
        """Files and commit of the repository, as the hub has them now.

        Raises:
            HubError: the hub does not list them.
        """
        api = HfApi(endpoint=self._endpoint, library_name=_LIBRARY, library_version=__version__)
        with translating(name, endpoint=self._endpoint, cache_dir=self._cache_dir):
            commit = api.model_info(name.repo, revision=name.revision).sha
            tree = list(api.list_repo_tree(name.repo, recursive=True, revision=commit))
        files = [
            RemoteFile(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None)
            for entry in tree
            if isinstance(entry, RepoFile)
        ]
        return checked_listing(name, commit, files)

    def found(self, name: HubName) -> Iterator[Listing]:
        """What the cache has of a repository at a revision, whoever put it there."""
        if (snapshot := find_snapshot(self._storage(name), name.revision)) is not None:
            yield found_listing(name, snapshot, snapshot.name)

    def folder(self, listing: Listing) -> Path:
        """Folder of the files of ``listing``, whether they are there or not."""
        return self._storage(listing.name) / "snapshots" / listing.commit

    def fetch(
        self,
        listing: Listing,
        paths: Sequence[str],
        report: Callable[[DownloadProgress], None] | None,
    ) -> None:
        """Download the files that are missing into ``folder(listing)``.

        Raises:
            HubError: one of them cannot be downloaded, or the disk has no space for them.
        """
        files = [listing.files[path] for path in paths]
        meter = DownloadMeter(files, report)
        with translating(listing.name, endpoint=self._endpoint, cache_dir=self._cache_dir):
            missing = [file for file in files if not self._has(listing, file)]
            num_bytes_missing = sum(self._num_bytes_missing(listing, file) for file in missing)
            check_space(self._cache_dir, listing.name.hub, num_bytes_missing)
            for file in files:
                if file in missing:
                    self._fetch(listing, file, meter)
                meter.done(file)
            if files:  # a name that is no commit leads to this one from now on
                self._link(listing, files[0], revision=listing.name.revision)

    def has(self, listing: Listing, path: str) -> bool:
        """Whether a file is in the cache, if only by another commit: then ``fetch()`` links it."""
        file = listing.files[path]
        transfer = self._transfer_of_blob(listing, file)
        return self._has(listing, file) or (transfer is not None and transfer.is_done)

    def download(
        self, listing: Listing, path: str, target: Path, report: Callable[[int], None]
    ) -> None:
        """Download what is missing of one file to ``target``, which is not in the cache.

        Raises:
            HubError: it cannot be downloaded.
        """
        with translating(listing.name, endpoint=self._endpoint, cache_dir=target.parent):
            self._transfer(listing, listing.files[path], target).run(target.parent, report)

    def remove(self, name: HubName) -> int:
        """Remove all of a repository from the cache; returns the number of bytes freed."""
        try:
            cache = scan_cache_dir(self._cache_dir)
        except CacheNotFound:
            return 0
        commits = [
            revision.commit_hash
            for repo in cache.repos
            if (repo.repo_id, repo.repo_type) == (name.repo, "model")
            for revision in repo.revisions
        ]
        if not commits:
            return 0
        strategy = cache.delete_revisions(*commits)
        strategy.execute()
        return strategy.expected_freed_size

    def _storage(self, name: HubName) -> Path:
        return self._cache_dir / repo_folder_name(repo_id=name.repo, repo_type="model")

    def _has(self, listing: Listing, file: RemoteFile) -> bool:
        path = self.folder(listing) / file.path
        return path.is_file() and path.stat().st_size == file.num_bytes

    def _num_bytes_missing(self, listing: Listing, file: RemoteFile) -> int:
        transfer = self._transfer_of_blob(listing, file)
        return transfer.num_bytes_missing if transfer else file.num_bytes

    def _fetch(self, listing: Listing, file: RemoteFile, meter: DownloadMeter) -> None:
        if transfer := self._transfer_of_blob(listing, file):
            locks = self._cache_dir / ".locks" / self._storage(listing.name).name
            transfer.run(locks, meter.of(file))  # the locks are the library's own
        self._link(listing, file, revision=listing.commit)

    def _transfer_of_blob(self, listing: Listing, file: RemoteFile) -> Transfer | None:
        """Transfer of a file in LFS; the library downloads the others."""
        if file.sha256 is None:
            return None
        return self._transfer(listing, file, self._storage(listing.name) / "blobs" / file.sha256)

    def _transfer(self, listing: Listing, file: RemoteFile, target: Path) -> Transfer:
        repo, commit = listing.name.repo, listing.commit
        return Transfer(
            listing.name,
            file,
            hf_hub_url(repo, file.path, revision=commit, endpoint=self._endpoint),
            target,
            build_hf_headers(library_name=_LIBRARY, library_version=__version__),
        )

    def _link(self, listing: Listing, file: RemoteFile, *, revision: str) -> None:
        """Let the library link a file into the snapshot; it downloads files that are not in LFS."""
        hf_hub_download(
            listing.name.repo,
            file.path,
            revision=revision,
            cache_dir=self._cache_dir,
            endpoint=self._endpoint,
            library_name=_LIBRARY,
            library_version=__version__,
        )
