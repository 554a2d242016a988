"""ModelScope client: files over plain HTTP, in the cache folder that its own package has.

The hub's protocol, after its package ``modelscope_hub``:

    GET /api/v1/models/OWNER/NAME/repo/files?Revision=...&Recursive=True
        {"Code": 200, "Success": true, "Message": ..., "Data": {"Files": [{"Path", "Type", "Size",
        "Sha256", ...}]}}; for a revision that it does not have, ``Files`` is null.
    GET /api/v1/models/OWNER/NAME/repo?Revision=...&FilePath=...
        the file; a large one by way of another host, which takes ranges. Small ones ignore them.

MODELSCOPE_ENDPOINT, MODELSCOPE_CACHE and MODELSCOPE_API_TOKEN are the package's variables;
HF_HUB_OFFLINE counts here too.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

from huggingface_hub import get_session

from glm3edge import __version__
from glm3edge.store.hub.download import DownloadMeter, DownloadProgress
from glm3edge.store.hub.errors import (
    HubError,
    HubUnreachableError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    TokenRefusedError,
)
from glm3edge.store.hub.listing import Listing, RemoteFile, checked_listing, found_listing
from glm3edge.store.hub.names import DEFAULT_REVISIONS, HubName
from glm3edge.store.hub.transfer import Transfer, check_space
from glm3edge.store.hub.translation import translating
from glm3edge_convert.checkpoint.snapshots import find_snapshot
from glm3edge_convert.files import read_text

ENDPOINT = "https://modelscope.cn"

_TIMEOUT_SECONDS = 60


class ModelScope:
    """Client of the hub at ``endpoint``, with a cache folder; the environment has the defaults."""

    def __init__(self, *, endpoint: str | None = None, cache_dir: Path | None = None) -> None:
        self._endpoint = endpoint or _endpoint(os.environ)
        self._cache_dir = cache_dir or _cache_dir(os.environ)

    def listing(self, name: HubName) -> Listing:
        """Files of the repository, as the hub has them now.

        The hub names no commit of the whole, so a hash of all files' checksums stands for it.

        Raises:
            HubError: the hub does not list them.
        """
        query = urlencode({"Revision": name.revision, "Recursive": "True"})
        with translating(name, endpoint=self._endpoint, cache_dir=self._cache_dir):
            response = get_session().get(
                f"{self._url(name)}/files?{query}", headers=_headers(), timeout=_TIMEOUT_SECONDS
            )
        try:
            value = response.json()
        except ValueError:
            value = None
        files = sorted(self._files(name, response.status_code, value), key=lambda file: file.path)
        state = "\n".join(f"{file.path} {file.num_bytes} {file.sha256}" for file in files)
        return checked_listing(name, hashlib.sha256(state.encode()).hexdigest(), files)

    def found(self, name: HubName) -> Iterator[Listing]:
        """What the cache has of a repository at a revision, whoever put it there."""
        if (snapshot := find_snapshot(self._storage(name), name.revision)) is not None:
            yield found_listing(name, snapshot)
        for folder in self._older_folders(name):
            if name.revision in {DEFAULT_REVISIONS[name.hub], _revision(folder)}:
                yield found_listing(name, folder)

    def folder(self, listing: Listing) -> Path:
        """Folder of the files of ``listing``, whether they are there or not."""
        if listing.folder is not None:
            return Path(listing.folder)
        return self._storage(listing.name) / "snapshots" / listing.name.revision

    def fetch(
        self,
        listing: Listing,
        paths: Sequence[str],
        report: Callable[[DownloadProgress], None] | None,
    ) -> None:
        """Download the files that are missing, or are others, into ``folder(listing)``.

        Raises:
            HubError: one of them cannot be downloaded, or the disk has no space for them.
        """
        files = [listing.files[path] for path in paths]
        meter = DownloadMeter(files, report)
        folder = self.folder(listing)
        transfers = [self._transfer(listing, file, folder / file.path) for file in files]
        with translating(listing.name, endpoint=self._endpoint, cache_dir=self._cache_dir):
            missing = sum(transfer.num_bytes_missing for transfer in transfers)
            check_space(self._cache_dir, listing.name.hub, missing)
            for transfer in transfers:
                transfer.run(self._cache_dir / ".lock", meter.of(transfer.file))
                meter.done(transfer.file)

    def has(self, listing: Listing, path: str) -> bool:
        """Whether a file is in the cache as the hub has it now; reads all of it."""
        return self._transfer(listing, listing.files[path], self.folder(listing) / path).is_done

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
        num_bytes = 0
        for folder in (self._storage(name), *self._older_folders(name)):
            num_bytes += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            shutil.rmtree(folder, ignore_errors=True)
        return num_bytes

    def _url(self, name: HubName) -> str:
        return f"{self._endpoint}/api/v1/models/{name.repo}/repo"

    def _storage(self, name: HubName) -> Path:
        return self._cache_dir / "models" / name.repo.replace("/", "--")

    def _older_folders(self, name: HubName) -> list[Path]:
        """Folders that the package had before 1.38, one for all revisions; the last is oldest."""
        owner, _, model = name.repo.partition("/")
        place = Path(owner, model.replace(".", "___"))
        folders = [self._cache_dir / base / place for base in ("models", "hub/models", "hub")]
        return [folder for folder in folders if folder.is_dir()]

    def _transfer(self, listing: Listing, file: RemoteFile, target: Path) -> Transfer:
        query = urlencode({"Revision": listing.name.revision, "FilePath": file.path})
        return Transfer(
            listing.name,
            file,
            f"{self._url(listing.name)}?{query}",
            target,
            _headers(),
        )

    def _files(self, name: HubName, status: int, value: object) -> Iterator[RemoteFile]:
        """Files of a reply to the question for them.

        Raises:
            HubError: the reply says why there are none, or is none of this hub.
        """
        match value:
            case {"Code": HTTPStatus.OK, "Data": {"Files": list(entries)}}:
                yield from filter(None, map(_file, entries))
            case {"Code": HTTPStatus.OK, "Data": {"Files": None}}:
                raise RevisionNotFoundError(name.repository, name.revision)
            case _ if status == HTTPStatus.NOT_FOUND:
                raise RepositoryNotFoundError(name, self._endpoint)
            case _ if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                raise TokenRefusedError(name, status)
            case {"Message": str(message)} if status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise HubError(f"ModelScope does not list {name}: {message}; check the name")
            case _:
                reason = f"it answered {status} with no list of files"
                raise HubUnreachableError(name, self._endpoint, reason)


def _file(entry: object) -> RemoteFile | None:
    """File of an entry; None for a folder, and for what is no entry."""
    match entry:
        case {"Type": "tree"}:
            return None
        case {"Path": str(path), "Size": int(num_bytes), **more}:
            sha256 = more.get("Sha256")  # of older states the hub has none
            return RemoteFile(path, num_bytes, str(sha256) if sha256 else None)
    return None


def _revision(folder: Path) -> str | None:
    """Revision in an older folder, which has ``Revision:v1.0,CreatedAt:...`` in ``.mv``."""
    try:
        text = read_text(folder / ".mv")
    except (OSError, UnicodeDecodeError):
        return None
    return text.partition(",")[0].removeprefix("Revision:").strip()


def _endpoint(environment: Mapping[str, str]) -> str:
    """Address of the hub; a bare domain, such as modelscope.ai, stands for one with TLS."""
    names = ("MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN")
    given = next((value for name in names if (value := environment.get(name))), ENDPOINT)
    return (given if "://" in given else f"https://{given}").rstrip("/")


def _cache_dir(environment: Mapping[str, str]) -> Path:
    given = environment.get("MODELSCOPE_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "modelscope"


def _headers() -> dict[str, str]:
    """Headers of each request: older routes take the token as a cookie, newer ones as a bearer."""
    headers = {"User-Agent": f"glm3edge/{__version__}", "Accept-Encoding": "identity"}
    if token := os.environ.get("MODELSCOPE_API_TOKEN"):
        headers |= {"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"}
    return headers
