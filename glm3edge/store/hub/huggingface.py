"""Hugging Face client: repositories in the cache folder that all programs of the hub share.

``huggingface_hub`` makes the requests and lays out the cache; HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN
and HF_HOME are its variables. But it starts an interrupted file from the beginning, and compares no
checksums. So files in LFS, which the weights are, are downloaded here: to
``blobs/<sha256>.incomplete``, resuming where the last run stopped, and once their checksum is right
they get the name that the library looks for.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from huggingface_hub import (
    HfApi,
    constants,
    hf_hub_download,
    hf_hub_url,
    scan_cache_dir,
)
from huggingface_hub.errors import CacheNotFound, HfHubHTTPError
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, not re-exported
    WeakFileLock,
    build_hf_headers,
    disable_progress_bars,
)
from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils.sha import sha_fileobj

from glm3edge import __version__
from glm3edge.store.hub.download import DownloadMeter, DownloadProgress, MeteredFile
from glm3edge.store.hub.errors import ChecksumError, DownloadBrokenError, HubSpaceError
from glm3edge.store.hub.listing import Listing, RemoteFile, checked_listing
from glm3edge.store.hub.names import HubName
from glm3edge.store.hub.translation import HTTP_ERROR, translated

MAX_STALLS = 3
"""Attempts in a row without a byte received before a download is given up."""

_LIBRARY = "glm3edge"
_NO_SUCH_RANGE = 416


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
        with self._translated(name):
            commit = api.model_info(name.repo, revision=name.revision).sha
            tree = list(api.list_repo_tree(name.repo, recursive=True, revision=commit))
        files = [
            RemoteFile(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None)
            for entry in tree
            if isinstance(entry, RepoFile)
        ]
        return checked_listing(name, commit, files)

    def folder(self, listing: Listing) -> Path:
        """Folder of the files of ``listing``, whether they are there or not."""
        return self._storage(listing.name) / "snapshots" / listing.commit

    def fetch(
        self,
        listing: Listing,
        paths: Sequence[str],
        report: Callable[[DownloadProgress], None] | None,
    ) -> Listing:
        """Download the files that are missing into ``folder(listing)``.

        Raises:
            HubError: one of them cannot be downloaded, or the disk has no space for them.
        """
        files = [listing.files[path] for path in paths]
        num_bytes = sum(file.num_bytes for file in files)
        meter = DownloadMeter(num_files=len(files), num_bytes=num_bytes, report=report)
        with self._translated(listing.name):
            self._check_space(listing, files)
            for file in files:
                if not self._has(listing, file):
                    self._fetch(listing, file, meter)
                meter.done(file.path, file.num_bytes)
            if files:  # a name that is no commit leads to this one from now on
                self._link(listing, files[0], revision=listing.name.revision)
        return listing

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

    def _check_space(self, listing: Listing, files: Sequence[RemoteFile]) -> None:
        num_bytes_needed = sum(
            file.num_bytes - _num_bytes(self._blob(listing, file), self._part(listing, file))
            for file in files
            if not self._has(listing, file)
        )
        folder = next(path for path in (self._cache_dir, *self._cache_dir.parents) if path.exists())
        num_bytes_free = shutil.disk_usage(folder).free
        if num_bytes_needed > num_bytes_free:
            raise HubSpaceError(
                self._cache_dir, num_bytes_needed=num_bytes_needed, num_bytes_free=num_bytes_free
            )

    def _blob(self, listing: Listing, file: RemoteFile) -> Path:
        """Path at which the library looks for a file in LFS."""
        return self._storage(listing.name) / "blobs" / (file.sha256 or "none")

    def _part(self, listing: Listing, file: RemoteFile) -> Path:
        blob = self._blob(listing, file)
        return blob.with_name(f"{blob.name}.incomplete")

    def _fetch(self, listing: Listing, file: RemoteFile, meter: DownloadMeter) -> None:
        if file.sha256 is not None:
            self._fetch_blob(listing, file, file.sha256, meter)
        self._link(listing, file, revision=listing.commit)

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

    def _fetch_blob(
        self, listing: Listing, file: RemoteFile, sha256: str, meter: DownloadMeter
    ) -> None:
        blob, part = self._blob(listing, file), self._part(listing, file)
        locks = self._cache_dir / ".locks" / self._storage(listing.name).name
        for folder in (locks, blob.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(locks / f"{sha256}.lock"):  # the library's own
            if blob.exists():
                return
            self._download(listing, file, part, meter)
            with part.open("rb") as stream:
                found = sha_fileobj(stream).hex()
            if found != sha256:
                part.unlink()
                raise ChecksumError(str(listing.name), file.path, expected=sha256, found=found)
            part.replace(blob)

    def _download(
        self, listing: Listing, file: RemoteFile, part: Path, meter: DownloadMeter
    ) -> None:
        """Append to ``part`` what it lacks of the whole file."""
        if part.exists() and part.stat().st_size > file.num_bytes:
            part.unlink()  # it is another file
        url = hf_hub_url(
            listing.name.repo, file.path, revision=listing.commit, endpoint=self._endpoint
        )
        headers = build_hf_headers(library_name=_LIBRARY, library_version=__version__)
        num_stalls = 0
        while num_stalls < MAX_STALLS:
            with MeteredFile(part, partial(meter.at, file.path, file.num_bytes)) as stream:
                start = stream.tell()
                if start > file.num_bytes:
                    return  # the checksum will not match
                try:
                    http_get(
                        url,
                        stream,
                        resume_size=start,
                        headers=headers,
                        expected_size=file.num_bytes,
                        displayed_filename=file.path,
                    )
                except (OSError, HTTP_ERROR) as exc:
                    if _status(exc) == _NO_SUCH_RANGE:
                        return  # nor here: the hub's file is shorter than it says
                    if not _is_broken_connection(exc):
                        raise
                    num_stalls = 0 if stream.tell() > start else num_stalls + 1
                else:
                    return
            time.sleep(num_stalls)
        raise DownloadBrokenError(
            file.path, num_bytes=part.stat().st_size, num_bytes_total=file.num_bytes
        )

    @contextmanager
    def _translated(self, name: HubName) -> Iterator[None]:
        """Raises the library's errors as ``HubError``."""
        try:
            yield
        except (OSError, HTTP_ERROR) as exc:
            raise translated(exc, name, endpoint=self._endpoint, cache_dir=self._cache_dir) from exc


def _status(exc: BaseException) -> int | None:
    """HTTP status of the hub's reply, None if there was none."""
    return exc.response.status_code if isinstance(exc, HfHubHTTPError) else None


def _is_broken_connection(exc: BaseException) -> bool:
    """Whether a retry may help: the hub failed with a 5xx status, or did not answer."""
    status = _status(exc)
    if status is not None:
        return status >= 500
    return not (isinstance(exc, OSError) and exc.errno is not None)


def _num_bytes(*paths: Path) -> int:
    """Size of the first of ``paths`` that exists, 0 if none does."""
    return next((path.stat().st_size for path in paths if path.exists()), 0)
