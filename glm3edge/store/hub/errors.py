"""Errors of hubs.

Glm3EdgeError
└── HubError                  a model could not be pulled
    ├── RepositoryNotFoundError
    ├── RevisionNotFoundError
    ├── RepositoryGatedError  its license has to be accepted first
    ├── TokenRefusedError
    ├── HubUnreachableError
    ├── HubOfflineError       not in the cache, and the network is switched off
    ├── DownloadBrokenError
    ├── ChecksumError
    ├── HubSpaceError
    ├── FileChoiceError       no GGUF file matches, or several do
    ├── MissingFileError      it lacks a file that it refers to
    └── NotAModelError
"""

from collections.abc import Sequence
from pathlib import Path

from glm3edge.errors import Glm3EdgeError
from glm3edge.store.hub.names import VARIABLES, HubKind, HubName, did_you_mean


class HubError(Glm3EdgeError):
    """A model could not be pulled from a hub."""

    exit_code = 11


class RepositoryNotFoundError(HubError):
    """The hub has no such repository, or hides it from this user.

    Attributes:
        name: what was asked for.
        hub: the hub's address.
    """

    def __init__(self, name: HubName, hub: str) -> None:
        super().__init__(
            f"there is no file or folder {name.repository}, and no repository of that name on "
            f"{hub}: check the spelling{did_you_mean(name.repository)}, or set "
            f"{name.variables.token} if it is private"
        )
        self.name = name
        self.hub = hub


class RevisionNotFoundError(HubError):
    """The repository has no such branch, tag or commit.

    Attributes:
        name: the repository.
        revision: what was asked for.
    """

    def __init__(self, name: str, revision: str) -> None:
        super().__init__(f"{name} has no revision {revision}: give a branch, a tag or a commit")
        self.name = name
        self.revision = revision


class RepositoryGatedError(HubError):
    """The repository's license has to be accepted on its page.

    Attributes:
        name: the repository.
        url: its page.
    """

    def __init__(self, name: str, url: str) -> None:
        super().__init__(
            f"{name} is gated: accept its license on {url}, then set HF_TOKEN to a token of "
            "that account"
        )
        self.name = name
        self.url = url


class TokenRefusedError(HubError):
    """The token is invalid, or lacks permission.

    Attributes:
        name: the repository.
        status: HTTP status of the hub's reply.
    """

    def __init__(self, name: HubName, status: int) -> None:
        super().__init__(
            f"the hub refuses {name.repository} ({status}): check that {name.variables.token} is a "
            "valid token that may read it"
        )
        self.name = name
        self.status = status


class HubUnreachableError(HubError):
    """The hub cannot be reached, and the model is not in the cache.

    Attributes:
        name: what was asked for.
        hub: the hub's address.
        reason: what happened, in one line.
    """

    def __init__(self, name: HubName, hub: str, reason: str) -> None:
        super().__init__(
            f"{name} is not complete in the cache and {hub} cannot be reached ({reason}): check "
            f"the network, or set {name.variables.endpoint} to a mirror"
        )
        self.name = name
        self.hub = hub
        self.reason = reason


class HubOfflineError(HubError):
    """The model is not in the cache, and HF_HUB_OFFLINE forbids network access.

    Attributes:
        name: what was asked for.
    """

    def __init__(self, name: HubName) -> None:
        super().__init__(
            f"{name} is not complete in the cache and HF_HUB_OFFLINE is set: run glm3edge pull "
            f"{name} once without it"
        )
        self.name = name


class DownloadBrokenError(HubError):
    """A connection broke and could not be made again.

    Attributes:
        name: the repository.
        file: the file that was downloaded.
        num_bytes: bytes of it that are there.
        num_bytes_total: bytes that it has.
    """

    def __init__(self, name: HubName, file: str, *, num_bytes: int, num_bytes_total: int) -> None:
        super().__init__(
            f"the download of {file} broke off after {num_bytes:,} of {num_bytes_total:,} bytes; "
            "run the command again to go on from there"
        )
        self.name = name
        self.file = file
        self.num_bytes = num_bytes
        self.num_bytes_total = num_bytes_total


class ChecksumError(HubError):
    """A downloaded file does not have the checksum that the hub lists; it has been removed.

    Attributes:
        file: its path in the repository.
        expected: SHA-256 that the hub lists.
        found: SHA-256 of the downloaded file.
    """

    def __init__(self, name: HubName, file: str, *, expected: str, found: str) -> None:
        super().__init__(
            f"{file} of {name.repository} arrived damaged (SHA-256 {found[:12]} instead of "
            f"{expected[:12]}) and was removed: pull it again, or set {name.variables.endpoint} to "
            "another mirror"
        )
        self.file = file
        self.expected = expected
        self.found = found


class HubSpaceError(HubError):
    """The disk lacks space for a download.

    Attributes:
        folder: the cache folder.
        num_bytes_needed: bytes still to be downloaded, None if the disk filled up on the way.
        num_bytes_free: bytes that are free.
    """

    def __init__(
        self, folder: Path, hub: HubKind, *, num_bytes_needed: int | None, num_bytes_free: int
    ) -> None:
        needed = num_bytes_needed and f"{num_bytes_needed / 2**20:,.0f} MiB are needed and "
        super().__init__(
            f"not enough space in {folder}: {needed or ''}{num_bytes_free / 2**20:,.0f} MiB are "
            f"free; free some space, or set {VARIABLES[hub].cache} to another disk"
        )
        self.folder = folder
        self.num_bytes_needed = num_bytes_needed
        self.num_bytes_free = num_bytes_free


class FileChoiceError(HubError):
    """A name matches none of a repository's GGUF files, or several.

    Attributes:
        name: what was asked for.
        files: the GGUF files there are.
    """

    def __init__(
        self, name: str, repository: str, files: Sequence[str], *, num_fitting: int
    ) -> None:
        fault = (
            f"{num_fitting} GGUF files match {name}" if num_fitting else f"no file matches {name}"
        )
        known = ", ".join(files) or "it has no GGUF files"
        super().__init__(f"{fault}: name one as {repository}:FILE ({known})")
        self.name = name
        self.files = tuple(files)


class MissingFileError(HubError):
    """A repository lacks a file that it refers to.

    Attributes:
        name: the repository.
        file: the missing file, None if it is not known.
    """

    def __init__(self, name: str, file: str | None = None) -> None:
        super().__init__(
            f"{name} lacks {file or 'a file'} that it names itself: its upload may be unfinished; "
            "pull it later, or name another repository"
        )
        self.name = name
        self.file = file


class NotAModelError(HubError):
    """A repository holds neither a checkpoint nor a GGUF file.

    Attributes:
        name: the repository.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} holds no GGUF file and no checkpoint (config.json with safetensors or "
            "pytorch_model.bin): name another repository"
        )
        self.name = name
