"""Translation of errors of ``huggingface_hub`` and of the network to ``HubError``."""

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.errors import RepositoryNotFoundError as NoRepositoryError
from huggingface_hub.errors import RevisionNotFoundError as NoRevisionError

from glm3edge.store.hub.errors import (
    HubError,
    HubOfflineError,
    HubSpaceError,
    HubUnreachableError,
    MissingFileError,
    RepositoryGatedError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    TokenRefusedError,
)
from glm3edge.store.hub.names import HubName

# httpx's, whatever that is called in this version of the library: connections fail with one.
HTTP_ERROR: type[BaseException] = HfHubHTTPError.__bases__[0]
"""Base of the library's errors that are not an OSError."""

_Translation = Callable[[HubName, str], HubError]

# The first match is taken: GatedRepoError is a RepositoryNotFoundError, too.
_TRANSLATIONS: dict[type[BaseException], _Translation] = {
    OfflineModeIsEnabled: lambda name, _: HubOfflineError(name),
    GatedRepoError: lambda name, hub: RepositoryGatedError(name.repo, f"{hub}/{name.repo}"),
    NoRepositoryError: RepositoryNotFoundError,
    NoRevisionError: lambda name, _: RevisionNotFoundError(name.repo, name.revision),
    EntryNotFoundError: lambda name, _: MissingFileError(name.repo),
}


@contextmanager
def translating(name: HubName, *, endpoint: str, cache_dir: Path) -> Iterator[None]:
    """Raises what comes up while ``name`` is pulled as ``HubError``."""
    try:
        yield
    except (OSError, HTTP_ERROR) as exc:
        raise translated(exc, name, endpoint=endpoint, cache_dir=cache_dir) from exc


def translated(exc: BaseException, name: HubName, *, endpoint: str, cache_dir: Path) -> HubError:
    """The error to raise for ``exc``, which came up while ``name`` was pulled."""
    if isinstance(exc, LocalEntryNotFoundError) and exc.__cause__ is not None:
        exc = exc.__cause__  # the reason why the hub was not asked
    for kind, translation in _TRANSLATIONS.items():
        if isinstance(exc, kind):
            return translation(name, endpoint)
    if isinstance(exc, HfHubHTTPError):
        return _status_error(exc.response.status_code, name, endpoint)
    if isinstance(exc, OSError) and exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        free = shutil.disk_usage(cache_dir).free
        return HubSpaceError(cache_dir, name.hub, num_bytes_needed=None, num_bytes_free=free)
    if isinstance(exc, PermissionError | NotADirectoryError | FileExistsError):
        reason = f"{exc.filename}: {exc.strerror}"
        variable = name.variables.cache
        return HubError(f"cannot write the cache ({reason}): set {variable} to another folder")
    reason = (str(exc) or type(exc).__name__).splitlines()[0]
    return HubUnreachableError(name, endpoint, reason)


def _status_error(status: int, name: HubName, endpoint: str) -> HubError:
    if status == 404:  # the Hugging Face hub says more, so it is another hub's file
        return MissingFileError(name.repository)
    if status in {401, 403}:
        return TokenRefusedError(name, status)
    return HubUnreachableError(name, endpoint, f"it answered {status}")
