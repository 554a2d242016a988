"""What of a session's files is kept, and what is not."""

import os
from pathlib import Path

import pytest

from glm3edge.commands.worker.tensor_cache import TensorCache

NO_SUCH_PID = 2**22 + 1  # beyond what Linux gives


@pytest.fixture
def cache(tmp_path: Path) -> TensorCache:
    return TensorCache(tmp_path / "tensors", min_free_bytes=0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_session_added_is_there_in_the_next(cache: TensorCache) -> None:
    session = cache.open()
    assert names(session) == []
    (session / "0a").write_bytes(b"whole")
    (session / "0b").write_bytes(b"cut of")
    cache.keep([session / "0b", Path("/elsewhere/0c")])
    assert names(cache.folder) == ["0a"]
    assert cache.num_bytes == 5
    session = cache.open()
    assert names(session) == ["0a"]
    assert (session / "0a").read_bytes() == b"whole"
    cache.keep()
    assert names(cache.folder) == ["0a"]


def test_nothing_is_kept_of_a_session_that_failed(cache: TensorCache) -> None:
    cache.keep()
    session = cache.open()
    (session / "0a").write_bytes(b"whole")
    cache.keep()
    session = cache.open()
    (session / "0b").write_bytes(b"?")
    cache.discard()
    cache.keep()
    assert names(cache.folder) == ["0a"]


def test_sessions_of_killed_workers_are_removed(cache: TensorCache) -> None:
    dead, alive = (cache.folder / f"session-{pid}-x" for pid in (NO_SUCH_PID, os.getpid()))
    for session in (dead, alive):
        session.mkdir(parents=True)
        (session / "0a").write_bytes(b"?")
    assert names(cache.open()) == []
    assert not dead.exists()
    assert alive.exists()


def test_a_full_disk_ends_the_session(tmp_path: Path) -> None:
    cache = TensorCache(tmp_path / "tensors", min_free_bytes=2**62)
    session = cache.open()
    (session / "0a").write_bytes(b"cut o")
    assert not cache.has_space()
    assert not cache.watch()
    assert not session.exists()
    cache.keep()
    assert names(cache.folder) == []
