import errno
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from glm3edge.store.hub.errors import (
    HubError,
    HubOfflineError,
    HubSpaceError,
    HubUnreachableError,
    MissingFileError,
)
from glm3edge.store.hub.names import HubName
from glm3edge.store.hub.translation import HTTP_ERROR, translated

NAME = HubName("huggingface", "o/n", "main")


def caused(cause: Exception) -> Exception:
    """What the library raises where it finds no file after it could not ask."""
    error = LocalEntryNotFoundError("An error happened.\nSeveral lines.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), HubSpaceError, "are free; free some"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), HubSpaceError, "HF_HOME to another disk"),
        (PermissionError(13, "Permission denied", "/x"), HubError, "(/x: Permission denied)"),
        (OSError("Read\nfailed"), HubUnreachableError, "cannot be reached (Read)"),
        (ConnectionResetError(), HubUnreachableError, "(ConnectionResetError)"),
        (caused(OfflineModeIsEnabled("off")), HubOfflineError, "run glm3edge pull o/n once"),
        (caused(TimeoutError("slow")), HubUnreachableError, "(slow)"),
        (LocalEntryNotFoundError("not there"), MissingFileError, "o/n lacks a file"),
    ],
)
def test_one_line_that_says_what_to_do(
    error: Exception, kind: type[HubError], message: str, tmp_path: Path
) -> None:
    found = translated(error, NAME, endpoint="https://hub", cache_dir=tmp_path)
    assert type(found) is kind
    assert message in str(found)
    assert "\n" not in str(found)


def test_what_connections_fail_with() -> None:
    """Whatever the library is built on, its errors are those of one tree."""
    module = __import__(HTTP_ERROR.__module__.partition(".")[0])
    assert issubclass(module.ReadError, HTTP_ERROR)
    assert issubclass(module.ConnectTimeout, HTTP_ERROR)
